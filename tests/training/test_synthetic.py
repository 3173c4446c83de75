"""Painted defects: on the part, to be seen, of the right class, and on photos of the right splits alone."""

import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from models.decision import CLEAN
from models.errors import DatasetError, UsageError
from models.preprocessing import Preprocessing
from models.sight import Sight
from training.data.samples import Sample
from training.data.splits import Split
from training.registering import SeenPhotos
from training.rendering.parts import photograph, render_bracket
from training.rendering.surfaces import brushed_metal
from training.synthetic.kinds import KINDS, Kind, SyntheticConfig, name_classes, parse_kinds
from training.synthetic.painting import Painted, paint
from training.synthetic.photos import PaintedPhoto, PaintedPhotos, announce, paint_photos, stand_ins
from training.synthetic.surface import find_surface

SIZE = (96, 112)
Pixels = npt.NDArray[np.uint8]


def bracket(seed: int) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """A photo of a good part, and where the part truly is."""
    rng = np.random.default_rng(seed)
    part = render_bracket(SIZE, rng)
    return photograph(part.picture, rng), part.surface


def samples(name: str, count: int, label: str = CLEAN) -> tuple[Sample, ...]:
    names = [f"{label}/{name}_{index}.png" for index in range(count)]
    return tuple(Sample(Path(n), n, label, n, height=SIZE[0], width=SIZE[1]) for n in names)


SPLIT = Split(
    (*samples("train", 4), *samples("train", 1, "worn")), samples("calibration", 2), samples("test", 3)
)
# No test photos: whoever looks at one fails.
IMAGES = {
    "train": np.stack([bracket(seed)[0] for seed in range(5)]),
    "calibration": np.stack([bracket(seed)[0] for seed in range(5, 7)]),
}
PREPROCESSING = Preprocessing(height=SIZE[0], width=SIZE[1])


def seen(split: Split, images: dict[str, Pixels]) -> SeenPhotos:
    return SeenPhotos.plain(split, Sight(PREPROCESSING), images)


def painted_on(
    images: dict[str, Pixels] = IMAGES, *, photos: int = 6, kinds: tuple[Kind, ...] = KINDS, seed: int = 0
) -> PaintedPhotos:
    config = SyntheticConfig(photos, kinds)
    classes = {kind: f"{kind}ed" for kind in kinds}
    return paint_photos(config, classes, seen(SPLIT, images), seed=seed, progress=False)


def test_the_part_is_found_on_its_ground_and_its_holes_are_not() -> None:
    for seed in range(4):
        photo, truth = bracket(seed)
        found = find_surface(photo)
        assert (found & truth).sum() >= 0.95 * truth.sum()
        ground = cv2.dilate(truth.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
        assert not (found & ground).any()


def test_a_light_ground_is_told_apart_as_well() -> None:
    photo, truth = bracket(0)
    found = find_surface(255 - photo)
    assert (found & truth).sum() >= 0.95 * truth.sum()
    assert found.mean() < 0.5


@pytest.mark.parametrize("photo", [np.zeros((*SIZE, 3), np.uint8), np.full((*SIZE, 3), 255, np.uint8)])
def test_where_no_ground_stands_out_the_whole_photo_is_surface(photo: Pixels) -> None:
    assert find_surface(photo).all()
    grain = 120 + 20 * brushed_metal(SIZE, np.random.default_rng(0))
    assert find_surface(np.repeat(np.rint(grain).astype(np.uint8)[..., None], 3, axis=2)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_defect_is_painted_on_the_part_alone_and_can_be_seen(kind: Kind) -> None:
    for seed in range(8):
        photo, _ = bracket(seed)
        before = photo.copy()
        surface = find_surface(photo)
        painted = paint(photo, surface, kind, np.random.default_rng(seed))
        assert painted is not None
        change = np.abs(painted.pixels.astype(int) - photo).max(axis=2)
        np.testing.assert_array_equal(photo, before)
        assert painted.pixels.dtype == np.uint8
        assert not change[~surface].any()
        assert not (painted.mask & ~surface).any()
        near = cv2.dilate(painted.mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        assert change[painted.mask].mean() >= 6
        assert change[painted.mask].mean() > 5 * change[~near].mean()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_paints_the_same_and_no_two_defects_are_alike(kind: Kind) -> None:
    photo, surface = bracket(0)

    def draw(seed: int) -> Painted:
        painted = paint(photo, surface, kind, np.random.default_rng(seed))
        assert painted is not None
        return painted

    np.testing.assert_array_equal(draw(3).pixels, draw(3).pixels)
    masks = [draw(seed).mask for seed in range(12)]
    assert len({mask.tobytes() for mask in masks}) == 12
    sizes = sorted(int(mask.sum()) for mask in masks)
    assert sizes[-1] > 1.5 * sizes[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_without_colour_gets_none(kind: Kind) -> None:
    photo = np.repeat(bracket(0)[0].max(axis=2, keepdims=True), 3, axis=2)
    painted = paint(photo, find_surface(photo), kind, np.random.default_rng(0))
    assert painted is not None
    assert (painted.pixels == painted.pixels[..., :1]).all()


def test_what_could_not_be_seen_is_not_painted() -> None:
    black = np.zeros((*SIZE, 3), np.uint8)
    for kind in KINDS:
        assert paint(black, np.ones(SIZE, bool), kind, np.random.default_rng(0)) is None
        assert paint(bracket(0)[0], np.zeros(SIZE, bool), kind, np.random.default_rng(0)) is None


def test_kinds_are_read_with_the_classes_that_were_named_for_them() -> None:
    assert parse_kinds("scratch,dent=bump") == (("scratch", "dent"), (("dent", "bump"),))
    assert parse_kinds(" stain = Fleck ") == (("stain",), (("stain", "Fleck"),))


@pytest.mark.parametrize("text", ["", "scratches", "scratch,scratch", "dent=good", "dent=", "dent=späne"])
def test_kinds_that_cannot_be_painted_or_named_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--synthetic-kinds"):
        parse_kinds(text)


def test_fewer_photos_than_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match="--synthetic-defects 2"):
        SyntheticConfig(2)
    assert SyntheticConfig(0).photos == 0


def test_a_painted_scratch_joins_the_class_that_means_scratches() -> None:
    both = SyntheticConfig(10, ("scratch", "dent"))
    assert name_classes(both, []) == {"scratch": "scratch", "dent": "dent"}
    assert name_classes(both, ["Scratched", "bent"]) == {"scratch": "Scratched", "dent": "dent"}
    named = SyntheticConfig(10, ("scratch",), (("scratch", "bent"),))
    assert name_classes(named, ["scratch", "scratch_deep"]) == {"scratch": "bent"}
    with pytest.raises(DatasetError, match=r"scratch, scratch_deep.*scratch=scratch"):
        name_classes(both, ["scratch", "scratch_deep"])


def test_only_clean_photos_of_train_and_calibration_are_painted() -> None:
    before = {name: images.copy() for name, images in IMAGES.items()}
    painted = painted_on()
    assert len(painted.train) == 6
    assert len(painted.calibration) == 3, "half as many clean photos, so half as many painted ones"
    for photos, part in ((painted.train, SPLIT.train), (painted.calibration, SPLIT.calibration)):
        assert {photo.source for photo in photos} <= {s.name for s in part if s.label == CLEAN}
        assert [photo.label for photo in photos[:3]] == ["scratched", "dented", "stained"]
    assert painted.counts()["train"] == {"dented": 2, "scratched": 2, "stained": 2}
    for name, images in before.items():
        np.testing.assert_array_equal(IMAGES[name], images)


def test_the_seed_decides_what_is_painted() -> None:
    def pixels(painted: PaintedPhotos) -> Iterator[bytes]:
        return (photo.painted.pixels.tobytes() for photo in (*painted.train, *painted.calibration))

    assert list(pixels(painted_on(seed=1))) == list(pixels(painted_on(seed=1)))
    assert set(pixels(painted_on(seed=1))).isdisjoint(pixels(painted_on(seed=2)))


def test_mirrored_borders_are_not_painted_on() -> None:
    tall = Split(
        *(
            tuple(Sample(s.path, s.name, s.label, s.sha256, 96, 48) for s in p)
            for p in (SPLIT.train, SPLIT.calibration, ())
        )
    )
    whole = {name: np.full_like(images, 128) for name, images in IMAGES.items()}
    config = SyntheticConfig(6)
    classes = dict(zip(KINDS, KINDS, strict=True))
    painted = paint_photos(config, classes, seen(tall, whole), seed=0, progress=False)
    for photo in painted.train:
        outside = np.ones(SIZE, bool)
        outside[:, 32:80] = False
        assert (photo.painted.pixels[outside] == 128).all()


def test_a_photo_on_which_nothing_would_be_seen_is_left_out_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    images = {**IMAGES, "train": IMAGES["train"].copy()}
    images["train"][1] = 0
    painted = painted_on(images, photos=4, kinds=("scratch",))
    assert len(painted.train) == 3
    assert [skipped.name for skipped in painted.left_out] == ["clean/train_1.png"]
    with caplog.at_level(logging.INFO, logger="training"):
        announce(painted, SPLIT)
    assert "Not painted: clean/train_1.png: no scratch that can be seen" in caplog.text
    assert "No real photo of scratched is held out" in caplog.text
    assert "No real photo of scratched is tested" in caplog.text


def test_where_nothing_can_be_painted_training_is_refused() -> None:
    images = {**IMAGES, "train": np.zeros_like(IMAGES["train"])}
    with pytest.raises(DatasetError, match=r"No scratch and no dent and no stain.*--synthetic-defects 0"):
        painted_on(images)


def test_painted_photos_say_when_to_stop_only_where_no_real_one_does() -> None:
    drawn = Painted(IMAGES["train"][0], np.ones(SIZE, bool))
    photos = tuple(PaintedPhoto(drawn, label, "a.png") for label in ("worn", "scratch"))
    split = Split(SPLIT.train, (*SPLIT.calibration, *samples("calibration", 1, "worn")), ())
    assert stand_ins(split, PaintedPhotos(photos, photos)) == photos[1:]
    assert stand_ins(SPLIT, PaintedPhotos(photos, photos)) == photos
