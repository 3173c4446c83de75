"""Rendered parts: a data set that can be trained on, the same for the same seed, with masks that fit."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from models.errors import UsageError
from training.cli import app
from training.data.layouts import read_dataset
from training.rendering.defects import add_dent, add_scratch, add_stain
from training.rendering.demo import render_parts, render_photo
from training.rendering.parts import render_bracket
from training.rendering.surfaces import (
    blur,
    brushed_metal,
    cast_metal,
    fine_noise,
    lighting_gradient,
    vignette,
)

SIZE = (96, 128)
DEFECTS = [add_scratch, add_dent, add_stain]


def test_rendered_parts_are_a_data_set_of_class_folders_with_masks(tmp_path: Path) -> None:
    render_parts(tmp_path, good=3, scratched=2, dented=1, stained=1, size=SIZE, progress=False)

    dataset = read_dataset(tmp_path, progress=False)

    assert dataset.layout == "class folders"
    assert {label: dataset.count(label) for label in dataset.classes} == {
        "clean": 3,
        "dented": 1,
        "scratched": 2,
        "stained": 1,
    }
    assert dataset.skipped == ()
    assert {(s.height, s.width) for s in dataset.samples} == {SIZE}
    assert all((s.mask is None) == (s.label == "clean") for s in dataset.samples)
    assert len({s.sha256 for s in dataset.samples}) == 7


def test_the_same_seed_gives_the_same_photos_however_many_are_asked_for(tmp_path: Path) -> None:
    def render(name: str, good: int, seed: int) -> dict[str, bytes]:
        out = tmp_path / name
        render_parts(out, good=good, scratched=1, size=SIZE, seed=seed, progress=False)
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.*")}

    one, more, other = render("one", 1, seed=4), render("more", 2, seed=4), render("other", 1, seed=5)
    assert one.items() < more.items()
    assert all(one[name] != other[name] for name in one)


@pytest.mark.parametrize("add", DEFECTS)
def test_a_defect_changes_the_picture_inside_its_mask_and_hardly_elsewhere(add: Callable) -> None:
    for seed in range(12):
        part = render_bracket((160, 160), np.random.default_rng(seed))
        before = part.picture.copy()
        picture, mask = add(part.picture, part.surface, np.random.default_rng((seed, 1)))

        change = np.abs(picture - before).max(axis=2)
        near = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        np.testing.assert_array_equal(part.picture, before)
        assert picture.dtype == np.float32
        assert picture.min() >= 0
        assert picture.max() <= 1
        assert mask.any()
        assert not (mask & ~part.surface).any()
        assert change[mask].max() > 0.04
        assert change[mask].mean() > 8 * change[~near].mean()


def test_a_surface_without_room_for_a_defect_is_refused() -> None:
    picture, nowhere = np.zeros((32, 32, 3), np.float32), np.zeros((32, 32), np.bool_)
    for add in DEFECTS:
        with pytest.raises(ValueError, match="surface"):
            add(picture, nowhere, np.random.default_rng(0))


def test_the_part_stands_out_from_the_bench_and_moves_only_slightly() -> None:
    photos = [render_photo(SIZE, None, np.random.default_rng(seed))[0] for seed in range(8)]
    parts = [render_bracket(SIZE, np.random.default_rng(seed)) for seed in range(8)]
    for photo, part in zip(photos, parts, strict=True):
        assert photo.dtype == np.uint8
        assert photo.shape == (*SIZE, 3)
        assert photo[part.surface].mean() > 2 * photo[~part.surface].mean()
        overlap = (part.surface & parts[0].surface).sum() / (part.surface | parts[0].surface).sum()
        assert overlap > 0.65


def test_turned_parts_lie_at_any_angle_and_place_and_whole_in_the_picture() -> None:
    parts = [render_bracket(SIZE, np.random.default_rng(seed), turned=True) for seed in range(12)]
    for part in parts:
        rim = np.concatenate([part.surface[0], part.surface[-1], part.surface[:, 0], part.surface[:, -1]])
        assert not rim.any()
    areas = [part.surface.sum() for part in parts]
    assert max(areas) < 1.15 * min(areas)
    overlaps = [
        (a.surface & b.surface).sum() / (a.surface | b.surface).sum()
        for a in parts
        for b in parts
        if a is not b
    ]
    assert np.mean(overlaps) < 0.4


@pytest.mark.parametrize("texture", [fine_noise, brushed_metal, cast_metal])
def test_textures_have_mean_zero_and_deviation_one(texture: Callable) -> None:
    plane = texture(SIZE, np.random.default_rng(0))
    assert plane.shape == SIZE
    assert plane.dtype == np.float32
    assert abs(plane.mean()) < 0.05
    assert abs(plane.std() - 1) < 0.05


def test_brushing_runs_along_its_angle() -> None:
    def roughness(angle: float, axis: int) -> float:
        return float(
            np.abs(np.diff(brushed_metal((128, 128), np.random.default_rng(0), angle), axis=axis)).mean()
        )

    assert roughness(0, axis=0) > 2 * roughness(0, axis=1)
    assert roughness(90, axis=1) > 2 * roughness(90, axis=0)


def test_a_wide_blur_at_low_resolution_equals_the_exact_one() -> None:
    plane = fine_noise((120, 150), np.random.default_rng(0), 3.0)
    exact = cv2.GaussianBlur(plane, (0, 0), 10.0)
    assert np.abs(blur(plane, 10.0) - exact)[20:-20, 20:-20].max() < 0.1 * exact.std()


def test_lighting_is_a_factor_near_one() -> None:
    light = lighting_gradient(SIZE, np.random.default_rng(0), strength=0.1)
    assert 0.7 < light.min() < light.max() < 1.4
    lens = vignette(SIZE, 0.2)
    assert lens.max() == pytest.approx(1.0, abs=1e-3)
    assert lens[0, 0] == pytest.approx(0.8)


def test_rendered_photos_never_mix_with_those_of_another_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.jpg").write_bytes(b"a photo of a real part")
    result = CliRunner().invoke(app, ["render", str(tmp_path), "--good", "1", "--scratched", "0", "--quiet"])
    assert isinstance(result.exception, UsageError)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.jpg"]
