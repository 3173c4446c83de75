"""Defects of parts that were turned are counted where they are on the part, not on the photo."""

import cv2
import numpy as np
import pytest

from models.answer import PartPose
from models.preprocessing import Preprocessing
from models.sight import Sight
from service.statistics.places import Defect, Found, places_of
from tests.turned_bundle import SIDE, SPOT, spot_at, template, turned_part

PREPROCESSING = Preprocessing(height=SIDE, width=SIDE, max_stretch=1.0)
SIZE = (192, 192)


def defects(*, drawn: bool) -> tuple[list[Defect], dict[str, bytes]]:
    """The spots of parts at several angles, as boxes or as masks, and the masks by their path."""
    sight, found, masks = Sight(PREPROCESSING, template()), [], {}
    for number, angle in enumerate((0.0, 80.0, -150.0)):
        matrix = sight.see(turned_part(angle, 0.04, -0.02, spot=True)).place.pose
        assert matrix is not None
        pose = PartPose(matrix=matrix, height=SIDE, width=SIDE)
        x, y = (round(at) for at in spot_at(angle, 0.04, -0.02))
        mask = np.zeros(SIZE, np.uint8)
        mask[y - 8 : y + 8, x - 8 : x + 8] = 255
        masks[str(number)] = cv2.imencode(".png", mask)[1].tobytes()
        boxes = [] if drawn else [(x - 8, y - 8, 16, 16)]
        found.append(Defect(SIZE, boxes, str(number) if drawn else None, pose))
    return found, masks


# The part's bundle as it was, one of another size by now, and none that is loaded.
@pytest.mark.parametrize("preprocessing", [PREPROCESSING, Preprocessing(height=160, width=160), None])
@pytest.mark.parametrize("drawn", [False, True])
def test_spots_of_turned_parts_lie_on_one_another(drawn: bool, preprocessing: Preprocessing | None) -> None:
    found, masks = defects(drawn=drawn)
    places = places_of(Found(found, 0, shortened=False), preprocessing, masks.__getitem__)
    assert (places.defects, places.drawn, places.without_place) == (3, 3 * drawn, 0)
    rows, columns = np.nonzero(places.cells == 3)
    x, y = (64 * (0.5 + at) for at in SPOT)
    assert (columns.mean(), rows.mean()) == pytest.approx((x, y), abs=2.0)
    assert (places.cells > 0).sum() < 120
