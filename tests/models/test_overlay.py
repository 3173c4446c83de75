"""The overlay: one scale for all photos of a bundle, colour only near and above the limit."""

import cv2
import numpy as np
import pytest

from models.manifest import HeatmapScale
from models.overlay import MAX_SIDE, draw_overlay, encode_picture

SCALE = HeatmapScale(start=2.5, limit=3.0, top=6.0)


def photo(height: int = 300, width: int = 400) -> np.ndarray:
    """A grey photo with texture: all colour in its overlay comes from the heat."""
    grey = np.random.default_rng(1).integers(90, 170, (height, width, 1), dtype=np.uint8)
    return np.repeat(grey, 3, axis=2)


def blob(height: int, width: int, peak: float = 6.0) -> np.ndarray:
    """A smooth hill in the middle of a map, from 0 to `peak`: float32 [h, w]."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot((y - height / 2) / height, (x - width / 2) / width)
    return (peak * np.clip(1.0 - 2.5 * distance, 0.0, 1.0)).astype(np.float32)


@pytest.mark.parametrize("level", [0.0, 2.499])
def test_a_clean_photo_shows_no_colour_at_all(level: float) -> None:
    picture = photo()
    overlay = draw_overlay(picture, np.full((56, 56), level, np.float32), SCALE)
    np.testing.assert_array_equal(overlay, picture)


def test_colour_appears_only_near_and_above_the_limit() -> None:
    picture, heat = photo(), blob(300, 400)
    overlay = draw_overlay(picture, heat, SCALE)
    touched = (overlay != picture).any(axis=2)
    margin = cv2.dilate((heat >= SCALE.start).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert not touched[~margin].any()
    assert touched[heat > SCALE.limit].mean() > 0.99


def test_the_contour_stands_at_the_limit() -> None:
    heat = blob(300, 400)
    white = (draw_overlay(photo(), heat, SCALE) > 200).all(axis=2)
    assert white.any()
    assert heat[white].min() > SCALE.limit - 0.25
    assert heat[white].max() < SCALE.limit + 0.25


def test_a_hole_in_the_heat_has_a_contour_of_its_own() -> None:
    heat = np.full((300, 400), 4.0, np.float32)
    heat[100:200, 150:250] = 0.0
    white = (draw_overlay(photo(), heat, SCALE) > 200).all(axis=2)
    assert white[95:105, 180:220].any(axis=0).all()


def test_the_photo_stays_visible_under_the_strongest_heat() -> None:
    picture = photo()
    overlay = draw_overlay(picture, np.full((56, 56), 1e6, np.float32), SCALE)
    inner = np.s_[10:-10, 10:-10]
    seen = np.corrcoef(picture[inner][..., 0].ravel(), overlay[inner][..., 0].ravel())[0, 1]
    assert seen > 0.95


def test_more_heat_is_brighter_so_that_it_reads_without_telling_red_from_green() -> None:
    black = np.zeros((40, 40, 3), np.uint8)
    levels = np.linspace(SCALE.limit, SCALE.top, 12)
    brightness = [
        float(
            cv2.cvtColor(
                draw_overlay(black, np.full((40, 40), level, np.float32), SCALE), cv2.COLOR_RGB2GRAY
            )[20, 20]
        )
        for level in levels
    ]
    assert brightness == sorted(brightness)
    assert brightness[-1] > brightness[0] + 80


def test_one_scale_holds_for_all_photos() -> None:
    strong, weak = blob(300, 400, 6.0), blob(300, 400, 3.2)
    spread = [np.abs(draw_overlay(photo(), m, SCALE).astype(int) - photo()).max() for m in (weak, strong)]
    hot = [(draw_overlay(photo(), m, SCALE)[150, 200]).astype(int) for m in (weak, strong)]
    assert spread[0] > 0
    assert hot[1][0] - hot[1][2] > 60  # The peak of the strong one is yellow,
    assert hot[0][0] - hot[0][2] < 20  # that of the weak one is not.


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (3000, 2), (64, 64), (2048, 2448), (1260, 500)])
@pytest.mark.parametrize("level", [0.0, 5.0, 3e38])
def test_the_aspect_is_kept_and_the_longer_side_bounded(size: tuple[int, int], level: float) -> None:
    picture = np.full((*size, 3), 90, np.uint8)
    overlay = draw_overlay(picture, np.full((14, 14), level, np.float32), SCALE)
    assert overlay.dtype == np.uint8
    assert max(overlay.shape[:2]) == min(MAX_SIDE, max(size))
    expected = max(1.0, min(size) * min(1.0, MAX_SIDE / max(size)))
    assert min(overlay.shape[:2]) == pytest.approx(expected, abs=0.51)


def test_a_narrow_peak_at_the_limit_is_drawn_even_on_a_photo_smaller_than_the_map() -> None:
    heat = np.zeros((224, 224), np.float32)
    heat[100, 100] = SCALE.limit
    picture = photo(50, 50)
    assert (draw_overlay(picture, heat, SCALE) != picture).any()


def test_the_photo_itself_is_never_painted_on() -> None:
    picture = photo()
    before = picture.copy()
    draw_overlay(picture, blob(300, 400), SCALE)
    np.testing.assert_array_equal(picture, before)


def test_encoding_keeps_the_colours() -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :32] = (220, 40, 10)
    picture[:, 32:] = (10, 60, 230)

    def decoded(data: bytes) -> np.ndarray:
        return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    png, jpeg = encode_picture(picture, "png"), encode_picture(picture)
    assert png.startswith(b"\x89PNG")
    assert jpeg.startswith(b"\xff\xd8")
    np.testing.assert_array_equal(decoded(png), picture)
    assert np.abs(decoded(jpeg).astype(int) - picture)[:, [4, 60]].max() < 12
