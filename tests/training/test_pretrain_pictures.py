"""Pictures to pretrain on: the same for the same seed, with labels that say what is where."""

import cv2
import numpy as np
import pytest
import torch

from training.pretrain.objective import judge
from training.pretrain.pictures import MOST_VIEWS, STEP, Example, Textures, render_example, render_views
from training.pretrain.source import UNKNOWN, Order, PictureSource, collate, render_order
from training.rendering.flaws import FLAWS
from training.rendering.shapes import KINDS, draw_shape
from training.rendering.textures import render_texture, to_tile, window

SIZE = 64


@pytest.fixture(scope="module")
def textures() -> Textures:
    return Textures(6, seed=3)


def test_textures_have_deviation_one_and_fit_together_at_the_edges() -> None:
    at_edges = []
    for number in range(24):
        plane = render_texture(number, np.random.default_rng(0), side=64)
        assert plane.shape == (64, 64)
        assert abs(plane.mean()) < 0.01
        # A recipe may come out flat.
        assert plane.std() == pytest.approx(1, abs=0.01) or plane.std() < 1e-3
        inside = np.abs(np.diff(plane, axis=0)).mean()
        at_edges.append(np.abs(plane[0] - plane[-1]).mean() / (inside + 1e-3))
    assert np.median(at_edges) < 1.3


def test_samples_of_one_class_are_more_alike_than_classes() -> None:
    def profile(number: int, sample: int) -> np.ndarray:
        plane = render_texture(number, np.random.default_rng((number, sample)), side=128)
        power = np.abs(np.fft.rfft2(plane)) ** 2
        return np.log(cv2.resize(power[:64, :64], (4, 4), interpolation=cv2.INTER_AREA) + 1e-3)

    own = [np.abs(profile(n, 0) - profile(n, 1)).mean() for n in range(20)]
    other = [np.abs(profile(n, 0) - profile(n + 1, 0)).mean() for n in range(20)]
    assert np.median(own) < 0.5 * np.median(other)
    assert not np.array_equal(
        render_texture(1, np.random.default_rng(0), side=64),
        render_texture(1, np.random.default_rng(1), side=64),
    )


def test_windows_are_cut_anywhere() -> None:
    tile = to_tile(render_texture(0, np.random.default_rng(0), side=64))
    rng = np.random.default_rng(0)
    cuts = [window(tile, 48, zoom, rng) for zoom in (0.5, 1.0, 2.0, 1.0)]
    assert all(cut.shape == (48, 48) and cut.dtype == np.float32 for cut in cuts)
    assert not np.array_equal(cuts[1], cuts[3])


def test_every_kind_of_thing_can_be_drawn() -> None:
    for kind in range(KINDS):
        cover = draw_shape(kind, SIZE, 24.0, np.random.default_rng(kind))
        assert cover.min() == 0
        assert cover.max() > 0.9
        assert 0.005 < cover.mean() < 0.8


@pytest.mark.parametrize("number", range(len(FLAWS)))
def test_a_flaw_changes_the_picture_where_its_mask_says(number: int) -> None:
    rng = np.random.default_rng(0)
    inside, outside = [], []
    for _ in range(12):
        texture = 0.5 + 0.1 * cv2.GaussianBlur(rng.standard_normal((96, 96, 3)), (0, 0), 1.5)
        picture = texture.astype(np.float32)
        before = picture.copy()
        changed, mask = FLAWS[number](picture, rng)
        difference = np.abs(changed - before).max(axis=2)
        np.testing.assert_array_equal(picture, before)
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert mask.shape == (96, 96)
        assert mask.any()
        inside.append(difference[mask].mean())
        outside.append(difference[~mask].mean())
    assert np.mean(inside) > 4 * np.mean(outside)


def test_pictures_are_the_same_for_the_same_seed_and_number(textures: Textures) -> None:
    def pictures(seed: int) -> np.ndarray:
        drawn = Textures(6, seed=3)
        return np.stack([render_example(drawn, n, SIZE, seed).pixels for n in range(5)])

    np.testing.assert_array_equal(pictures(0), pictures(0))
    assert not np.array_equal(pictures(0), pictures(1))


def test_about_two_thirds_of_the_pictures_are_flawed(textures: Textures) -> None:
    examples = [render_example(textures, n, SIZE, 0) for n in range(150)]
    assert 0.5 < np.mean([e.flaws.any() for e in examples]) < 0.8
    assert {int(k) for e in examples for k in np.unique(e.flaws)} == set(range(len(FLAWS) + 1))
    assert 0.3 < np.mean([e.things.any() for e in examples]) < 0.7
    assert all(e.pixels.dtype == np.uint8 and e.pixels.shape == (SIZE, SIZE, 3) for e in examples)
    assert all(0 <= e.textures.min() <= e.textures.max() < 6 for e in examples)


def test_views_show_one_scene_in_other_light(textures: Textures) -> None:
    corners = []
    for number in range(12):
        first, second = render_views(textures, number, SIZE, 0)
        rows, columns = (abs(a - b) for a, b in zip(first.corner, second.corner, strict=True))
        assert rows % STEP == columns % STEP == 0
        corners.append((rows, columns))
        scenes = [np.full((SIZE + 2 * STEP, SIZE + 2 * STEP), -1) for _ in range(MOST_VIEWS)]
        for scene, view in zip(scenes, (first, second), strict=True):
            row, column = view.corner
            scene[row : row + SIZE, column : column + SIZE] = view.flaws.astype(int) + 100 * view.things
        both = (scenes[0] >= 0) & (scenes[1] >= 0)
        np.testing.assert_array_equal(scenes[0][both], scenes[1][both])
        assert first.surface == second.surface
        shared = [np.zeros((*both.shape, 3)) for _ in range(MOST_VIEWS)]
        for photo, view in zip(shared, (first, second), strict=True):
            row, column = view.corner
            photo[row : row + SIZE, column : column + SIZE] = view.pixels
        assert np.abs(shared[0][both] - shared[1][both]).mean() > 2
    assert len(set(corners)) > 3


def test_the_place_is_asked_of_the_cells_that_two_views_share() -> None:
    """Vectors that say which cell of the scene they are of find their place; any others do not."""
    size, corners = 64, [(0, 32), (16, 16), (32, 0), (32, 0)]
    blank = np.zeros((size, size), np.uint8)
    examples = [
        Example(np.zeros((size, size, 3), np.uint8), blank.astype(np.int16), blank, blank, 0, c)
        for c in corners
    ]
    batch = collate(examples, views=2)
    told, untold = {}, {}
    for name, side in (("place16", 16), ("place8", 8)):
        cells = size // side
        scenes = torch.randn(2, 64, 3 * cells, 3 * cells, generator=torch.Generator().manual_seed(0))
        places = [(n // 2, row // side, column // side) for n, (row, column) in enumerate(corners)]
        told[name] = torch.stack([scenes[s, :, r : r + cells, c : c + cells] for s, r, c in places])
        untold[name] = torch.randn(told[name].shape, generator=torch.Generator().manual_seed(1))
    shapes = {"surface": (4, 3), "texture16": (4, 3, 4, 4), "texture8": (4, 3, 8, 8)}
    shapes |= {"thing": (4, 3, 8, 8), "flaw": (4, 3, 16, 16)}
    others = {name: torch.zeros(shape) for name, shape in shapes.items()}
    for vectors, low, high in ((told, 0.99, 1.0), (untold, 0.0, 0.3)):
        figures = judge({**others, **vectors}, batch).figures
        assert all(low <= figures[f"{name}_accuracy"] <= high for name in told)
    assert "place8_accuracy" not in judge({**others, **told}, collate(examples)).figures


def test_labels_are_reduced_to_the_grids_of_the_layers() -> None:
    textures = np.zeros((32, 32), dtype=np.int16)
    textures[:, 24:] = 5
    things, flaws = np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.uint8)
    things[8:16, 8:16] = 2
    flaws[17, 30] = 4
    batch = collate([Example(np.zeros((32, 32, 3), np.uint8), textures, things, flaws, surface=0)])
    assert batch.textures16[0].tolist() == [[0, UNKNOWN], [0, UNKNOWN]], "half of a cell is not enough"
    assert batch.textures8[0, 0].tolist() == [0, 0, 0, 5]
    assert np.argwhere(batch.things[0]).tolist() == [[1, 1]]
    assert batch.flaws[0, 4, 7] == 4, "one pixel is enough"
    assert batch.flaws.sum() == 4
    assert batch.surfaces.tolist() == [0]


def test_another_process_renders_the_same_pictures_in_order() -> None:
    with PictureSource(classes=3, seed=1) as source:
        source.order(Order(first=0, count=2, size=32))
        source.order(Order(first=2, count=1, size=48, views=2))
        first, second = source.receive(), source.receive()
        assert source.waiting == 0
    expected = render_order(Textures(3, seed=1), Order(first=0, count=2, size=32), seed=1)
    np.testing.assert_array_equal(first[1].images, expected.images)
    np.testing.assert_array_equal(first[1].flaws, expected.flaws)
    assert second[1].images.shape == (MOST_VIEWS, 48, 48, 3)
