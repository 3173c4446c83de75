"""What is learnt to lay photos on: from parts at any angle or that lie still, and not from just anything."""

import cv2
import numpy as np
import pytest

from models.errors import DatasetError
from models.preprocessing import Placement
from models.registration import BESIDE, PART, Pose
from tests.training.rendered import SIDE, brackets
from tests.turned_bundle import turned_part
from training.movement import lies_still
from training.template import LearntTemplate, fan_of, learn_template


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return brackets(24, turned=True)


@pytest.fixture(scope="module")
def learnt(photos: np.ndarray) -> LearntTemplate:
    return learn_template(photos)


def test_photos_of_turned_parts_become_one_template(photos: np.ndarray, learnt: LearntTemplate) -> None:
    assert learnt.fitting == 1.0
    assert learnt.template.fan.half == 180.0
    assert learnt.turned > 60.0
    assert learnt.moved > 16.0
    poses = [learnt.template.register(photo) for photo in photos]
    assert 0.5 < learnt.lowest < min(pose.correlation for pose in poses)
    # Laid on it, the parts lie on one another: their edges stay where one alone has them.
    laid = [learnt.template.lay(photo, pose) for photo, pose in zip(photos, poses, strict=True)]
    middle = np.s_[:, SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4]
    apart, before = (np.std(np.stack(each)[middle], axis=0).mean() for each in (laid, photos))
    assert apart < 0.45 * before


def test_another_part_of_the_kind_registers_and_what_is_none_does_not(learnt: LearntTemplate) -> None:
    for photo in brackets(6, turned=True, first=500):
        assert learnt.template.register(photo).correlation > learnt.lowest
    other = cv2.resize(turned_part(40.0), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    nothing = np.full((SIDE, SIDE, 3), 50, np.uint8)
    for photo in (other, nothing):
        assert learnt.template.register(np.asarray(photo, np.uint8)).correlation < learnt.lowest


def test_the_part_lies_in_the_middle_and_the_corners_that_few_photos_show_are_not_judged(
    learnt: LearntTemplate,
) -> None:
    bright = np.argwhere(learnt.template.grey > 90)
    assert (bright.min(axis=0) + bright.max(axis=0)) / 2 == pytest.approx((SIDE / 2, SIDE / 2), abs=4)
    weight = learnt.template.weight
    assert weight[0, 0] == weight[-1, -1] == 0
    assert (weight[tuple(bright.T)] == PART).mean() > 0.98


def test_however_far_photos_are_off_the_part_is_judged_and_cut_off_ones_are_strays() -> None:
    rng = np.random.default_rng(0)
    places = [(rng.uniform(-180, 180), *rng.uniform(-0.11, 0.11, 2)) for _ in range(24)]
    given = np.stack([turned_part(*place, size=(SIDE, SIDE)) for place in places])
    found = learn_template(np.concatenate([given, [turned_part(10.0, 0.4, 0.0, size=(SIDE, SIDE))]]))
    assert found.fitting >= 0.9
    reached = [found.template.register(photo).correlation for photo in given]
    assert np.mean(np.array(reached) >= found.lowest) >= 0.9
    assert found.template.register(turned_part(10.0, 0.4, 0.0, size=(SIDE, SIDE))).correlation == 0.0
    part = found.template.grey > 129
    assert (found.template.weight[part] == PART).mean() > 0.99
    assert (found.template.weight < BESIDE).any()
    # A spot anywhere on it reaches the model.
    for row, column in np.argwhere(cv2.erode(part.astype(np.uint8), np.ones((9, 9))))[::40]:
        spotted = found.template.picture.copy()
        cv2.circle(spotted, (int(column), int(row)), 3, (250, 250, 250), -1)
        seen = found.template.lay(spotted, Pose(np.eye(2, 3), 1.0))
        assert seen[row, column].min() == 250


def test_borders_that_letterboxing_made_up_are_not_judged(photos: np.ndarray) -> None:
    place = Placement(SIDE, SIDE - 8, 0, 4, SIDE, SIDE - 8, letterboxed=True)
    free, bound = (learn_template(photos, places) for places in (None, [place] * len(photos)))
    assert (bound.template.weight > 0).sum() < (free.template.weight > 0).sum()


def test_parts_that_most_photos_cut_off_are_refused_with_a_remedy() -> None:
    given = [turned_part(15.0 * n, 0.38 * (-1) ** n, 0.0, size=(SIDE, SIDE), seed=n) for n in range(16)]
    with pytest.raises(DatasetError, match="with the whole part in the picture") as refused:
        learn_template(np.stack(given))
    assert "some ground around them" in refused.value.remedy


def test_the_same_photos_give_the_same_template(photos: np.ndarray) -> None:
    one, other = (learn_template(photos[:10]) for _ in range(2))
    assert one.lowest == other.lowest
    assert one.template.fan == other.template.fan
    assert np.array_equal(one.template.picture, other.template.picture)
    assert np.array_equal(one.template.weight, other.template.weight)


def test_photos_that_show_nothing_in_common_are_refused_with_a_remedy() -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    clouds = np.stack([cv2.resize(photo, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for photo in drawn])
    with pytest.raises(DatasetError, match=r"--alignment register: only \d+ of 10 .* --alignment free"):
        learn_template(clouds)
    assert "cannot be laid on one another" in lies_still(clouds[:5], stride=8)


def test_parts_in_a_holder_lie_still(learnt: LearntTemplate) -> None:
    still = learn_template(brackets(12, turned=False))
    assert (still.template.weight[16:-16, 16:-16] >= BESIDE).all(), "all photos show that"
    assert still.template.fan.half < 30.0
    assert still.moved < 4.0 < learnt.moved
    assert still.turned < 5.0 < learnt.turned


@pytest.mark.parametrize(
    ("angles", "middle", "half"),
    [
        ([-3.0, 0.0, 5.0], 1.0, 19.0),
        ([175.0, -175.0], 180.0, 20.0),
        ([10.0], 10.0, 15.0),
        ([0.0, 90.0, 180.0, 270.0], 0.0, 180.0),
    ],
)
def test_the_fan_covers_the_angles_seen(angles: list[float], middle: float, half: float) -> None:
    fan = fan_of(angles)
    assert abs((fan.middle - middle + 180) % 360 - 180) == pytest.approx(0.0)
    assert fan.half == pytest.approx(half)
