"""A part that was turned and moved is laid back on the template; what is another part is known by it."""

import math
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fan import Fan
from models.preprocessing import Placement
from models.registration import BESIDE, PART, Matrix, Pixels, Template, after, laid
from tests.turned_bundle import turned_part
from training.rendering.demo import render_photo

SIZE = 160
MIDDLE = (SIZE - 1) / 2


def part(seed: int) -> Pixels:
    """A bracket on a bench, somewhere in the photo."""
    return render_photo((SIZE, SIZE), None, np.random.default_rng(seed), turned=True)[0]


def grey_of(photo: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), np.uint8)


def turn(angle: float, right: float = 0.0, down: float = 0.0) -> Matrix:
    """About the middle of the picture, then away from it."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    rotation, middle = np.array([[cos, -sin], [sin, cos]]), np.full(2, MIDDLE)
    return np.column_stack([rotation, middle - rotation @ middle + (right, down)])


def moved(photo: Pixels, pose: Matrix) -> Pixels:
    """The photo, its points taken where `pose` takes them."""
    size = (SIZE, SIZE)
    return np.asarray(cv2.warpAffine(photo, pose, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def whole(picture: Pixels, fan: Fan | None = None) -> Template:
    """A template of which everything is judged, wherever the part is."""
    return Template(picture, np.full(picture.shape[:2], BESIDE, np.uint8), fan or Fan())


def off(found: Matrix, true: Matrix) -> float:
    """How far apart two poses take points that lie where the part is, in pixels, at most."""
    around = MIDDLE + 40.0 * np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]])
    one, other = (around @ pose[:, :2].T + pose[:, 2] for pose in (found, true))
    return float(np.linalg.norm(one - other, axis=1).max())


@pytest.fixture(scope="module")
def centred() -> Pixels:
    photo = part(3)
    shift = np.eye(2, 3)
    at = cv2.moments((grey_of(photo) > 90).astype(np.uint8))
    shift[:, 2] = MIDDLE - at["m10"] / at["m00"], MIDDLE - at["m01"] / at["m00"]
    return moved(photo, shift)


@pytest.fixture(scope="module")
def template(centred: Pixels) -> Template:
    return whole(centred)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(angle=st.floats(-180.0, 180.0), right=st.floats(-18.0, 18.0), down=st.floats(-18.0, 18.0))
def test_a_turn_and_a_shift_are_found(
    centred: Pixels, template: Template, angle: float, right: float, down: float
) -> None:
    true = turn(angle, right, down)
    pose = template.register(moved(centred, true))
    assert off(pose.matrix, true) < 1.0
    assert pose.correlation > 0.95
    assert (pose.angle - angle + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=1.0)
    # Laid back, the part lies where the template has it.
    back = laid(moved(centred, true), pose.matrix)[40:-40, 40:-40].astype(int)
    assert np.abs(back - centred[40:-40, 40:-40]).mean() < 8.0


def test_a_part_that_the_border_cuts_off_does_not_register(centred: Pixels) -> None:
    weight = np.where(grey_of(centred) > 90, PART, BESIDE).astype(np.uint8)
    template = Template(centred, weight)
    for right in (0.0, 20.0):
        assert template.register(moved(centred, turn(30.0, right))).correlation > 0.9
    cut = moved(centred, turn(30.0, 50.0))
    assert whole(centred).register(cut).correlation > 0.9, "what there is of it fits"
    assert template.register(cut).correlation == 0.0
    # Nor does one that ends where the photo ends inside the model's input.
    place = Placement(SIZE, 60, 0, 50, SIZE, 60, letterboxed=True)
    assert template.register(moved(centred, turn(30.0)), place).correlation == 0.0


@pytest.mark.parametrize("size", [(160, 208), (208, 160), (208, 240)])
def test_on_pictures_of_any_shape_poses_are_as_exact(size: tuple[int, int]) -> None:
    middle = (np.array(size[::-1]) - 1) / 2
    photo = turned_part(0.0, size=size)
    for angle in (30.0, 135.0):
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        rotation = np.array([[cos, -sin], [sin, cos]])
        true = np.column_stack([rotation, middle - rotation @ middle + (9.0, -6.0)])
        turned = cv2.warpAffine(photo, true, size[::-1], borderMode=cv2.BORDER_REPLICATE)
        found = whole(photo).register(np.asarray(turned, np.uint8)).matrix
        around = middle + 40.0 * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
        apart = around @ (found - true)[:, :2].T + (found - true)[:, 2]
        assert np.linalg.norm(apart, axis=1).max() < 0.35


def test_another_part_of_the_kind_in_another_light_is_laid_on_it(template: Template) -> None:
    for seed in (11, 12, 13):
        photo = np.clip(part(seed) * 0.6 + 20, 0, 255).astype(np.uint8)
        pose = template.register(photo)
        assert pose.correlation > 0.8
        again = template.register(laid(photo, pose.matrix))
        assert off(again.matrix, np.eye(2, 3)) < 1.5


@pytest.mark.parametrize(
    "photo",
    [
        np.zeros((SIZE, SIZE, 3), np.uint8),
        np.full((SIZE, SIZE, 3), 117, np.uint8),
        np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8),
        cv2.circle(np.full((SIZE, SIZE, 3), 40, np.uint8), (80, 80), 36, (150, 150, 150), -1),
        np.repeat(np.linspace(0, 255, SIZE, dtype=np.uint8)[None, :, None], SIZE, axis=0).repeat(3, axis=2),
    ],
    ids=["black", "grey", "noise", "disc", "gradient"],
)
def test_what_is_not_the_part_does_not_reach_what_a_part_reaches(template: Template, photo: Pixels) -> None:
    pose = template.register(photo)
    assert -1.0 <= pose.correlation < 0.75
    assert np.isfinite(pose.matrix).all()


def test_a_photo_has_one_pose_to_the_bit_in_any_thread(template: Template) -> None:
    photos = [part(seed) for seed in (21, 22)]
    alone = [template.register(photo) for photo in photos]
    fresh = Template(template.picture, template.weight)  # its tables are made by several threads at once
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(fresh.register, photos * 8))
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        single = [template.register(photo) for photo in photos]
    finally:
        cv2.setNumThreads(before)
    for pose, expected in zip([*together, *single], alone * 9, strict=True):
        assert pose.matrix.tobytes() == expected.matrix.tobytes()
        assert pose.correlation == expected.correlation


def test_a_fan_keeps_to_its_angles(centred: Pixels) -> None:
    narrow = whole(centred, Fan(middle=0.0, half=20.0))
    assert narrow.register(moved(centred, turn(14.0))).correlation > 0.95
    assert narrow.register(moved(centred, turn(180.0))).correlation < 0.75
    assert min(narrow.fan.angles()) == -20.0
    assert max(narrow.fan.angles()) == 20.0
    assert len(Fan().angles()) == len(set(Fan().angles())) == 60


def test_parts_at_the_end_of_half_a_turn_are_found_by_a_fan_round_it(centred: Pixels) -> None:
    fan = whole(centred, Fan(middle=175.0, half=25.0))
    for angle in (165.0, -170.0):
        assert off(fan.register(moved(centred, turn(angle))).matrix, turn(angle)) < 1.0


def test_poses_follow_one_another() -> None:
    point = np.array([30.0, 70.0, 1.0])
    outer, inner = turn(30.0, 4.0, 5.0), turn(-70.0, 1.0, -2.0)
    assert np.allclose(after(outer, inner) @ point, outer @ np.append(inner @ point, 1.0))
