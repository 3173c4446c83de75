"""What happens to photos and masks that cannot be trusted, and to duplicates."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from models.bundle import sha256_of_file
from models.errors import DatasetError
from training.data.layouts import read_dataset
from training.data.samples import Dataset, Sample, check_trainable, read_mask


def write(path: Path, pixels: npt.NDArray[np.generic]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def plain(shade: int, height: int = 8, width: int = 12) -> npt.NDArray[np.uint8]:
    return np.full((height, width), shade, dtype=np.uint8)


def reasons(dataset: Dataset) -> dict[str, str]:
    return {skipped.name: skipped.reason for skipped in dataset.skipped}


def test_photos_that_cannot_be_decoded_are_left_out_by_name(tmp_path: Path) -> None:
    whole = write(tmp_path / "good" / "whole.jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3)))
    (tmp_path / "good" / "empty.jpg").write_bytes(b"")
    (tmp_path / "good" / "cut.jpg").write_bytes(whole.read_bytes()[:-400])
    (tmp_path / "good" / "text.png").write_text("this is no photo")

    dataset = read_dataset(tmp_path, progress=False)

    assert [(s.name, s.height, s.width, s.bit_depth) for s in dataset.samples] == [
        ("good/whole.jpg", 64, 64, 8)
    ]
    found = reasons(dataset)
    assert found.keys() == {"good/empty.jpg", "good/cut.jpg", "good/text.png"}
    assert "empty" in found["good/empty.jpg"]
    assert "truncated" in found["good/cut.jpg"]
    assert "not a photo" in found["good/text.png"]


def test_a_data_set_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "a.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"None of the 1 photos .* good/a\.jpg: .*empty"):
        read_dataset(tmp_path, progress=False)


def test_twelve_bit_photos_without_a_white_level_are_hinted_at(tmp_path: Path) -> None:
    write(tmp_path / "good" / "a.png", np.full((8, 8), 4000, dtype=np.uint16))
    assert "--white-level 4095" in read_dataset(tmp_path, progress=False).hints[0]
    assert read_dataset(tmp_path, white_level=4095, progress=False).hints == ()


def test_masks_of_wrong_size_or_without_a_mark_are_left_out_and_the_photo_kept(tmp_path: Path) -> None:
    for index, name in enumerate(("right", "large", "empty", "broken")):
        write(tmp_path / "dent" / f"{name}.png", plain(index))
    masks = tmp_path / "masks" / "dent"
    write(masks / "right.png", plain(255))
    write(masks / "large.png", plain(255, height=16, width=24))
    write(masks / "empty.png", plain(0))
    (masks / "broken.png").write_bytes(b"\x89PNG")

    dataset = read_dataset(tmp_path, progress=False)

    assert {s.name: s.mask is not None for s in dataset.samples} == {
        "dent/broken.png": False,
        "dent/empty.png": False,
        "dent/large.png": False,
        "dent/right.png": True,
    }
    found = reasons(dataset)
    assert "is 24 x 16, its photo 12 x 8" in found["masks/dent/large.png"]
    assert "the mask is empty" in found["masks/dent/empty.png"]
    assert "cannot be read" in found["masks/dent/broken.png"]


def test_a_clean_photo_whose_mask_marks_a_defect_is_not_trained_on_as_clean(tmp_path: Path) -> None:
    for name, mark in (("a", 0), ("b", 255)):
        write(tmp_path / "good" / f"{name}.png", plain(ord(name)))
        write(tmp_path / "masks" / "good" / f"{name}.png", plain(mark))
    dataset = read_dataset(tmp_path, progress=False)
    assert [(s.name, s.mask) for s in dataset.samples] == [("good/a.png", None)]
    assert "marks a defect" in reasons(dataset)["good/b.png"]


def test_the_same_file_under_two_labels_is_left_out_altogether(tmp_path: Path) -> None:
    photo = write(tmp_path / "good" / "a.png", plain(1))
    write(tmp_path / "good" / "b.png", plain(2))
    (tmp_path / "dent").mkdir()
    shutil.copy(photo, tmp_path / "dent" / "x.png")
    dataset = read_dataset(tmp_path, progress=False)
    assert [s.name for s in dataset.samples] == ["good/b.png"]
    assert reasons(dataset) == {
        "dent/x.png": "labelled dent, but good/a.png is the same photo labelled clean",
        "good/a.png": "labelled clean, but dent/x.png is the same photo labelled dent",
    }


def test_the_same_file_twice_joins_the_groups_of_both(tmp_path: Path) -> None:
    for index in range(4):
        write(tmp_path / "good" / f"{index}.png", plain(index))
    shutil.copy(tmp_path / "good" / "0.png", tmp_path / "good" / "9.png")
    (tmp_path / "groups.csv").write_text(
        "file,group\ngood/0.png,A\ngood/1.png,A\ngood/9.png,B\ngood/2.png,B\ngood/3.png,C\n"
    )
    groups = {s.name: s.group for s in read_dataset(tmp_path, progress=False).samples}
    assert {groups[f"good/{index}.png"] for index in (0, 1, 2, 9)} == {"A"}
    assert groups["good/3.png"] == "C"


def test_equal_pixels_in_other_bytes_are_the_same_photo(tmp_path: Path) -> None:
    photo = write(tmp_path / "good" / "a.png", plain(1))
    write(tmp_path / "good" / "b.png", plain(2))
    write(tmp_path / "good" / "c.bmp", plain(1))
    write(tmp_path / "dent" / "x.bmp", plain(2))
    dataset = read_dataset(tmp_path, progress=False)
    assert sha256_of_file(photo) != sha256_of_file(tmp_path / "good" / "c.bmp")
    assert {s.name: s.group for s in dataset.samples} == {
        "good/a.png": dataset.samples[0].pixels_sha256,
        "good/c.bmp": dataset.samples[0].pixels_sha256,
    }
    assert reasons(dataset).keys() == {"good/b.png", "dent/x.bmp"}


def test_the_same_file_for_training_and_testing_is_used_once(tmp_path: Path) -> None:
    photo = write(tmp_path / "train" / "good" / "0.png", plain(1))
    write(tmp_path / "test" / "good" / "1.png", plain(2))
    shutil.copy(photo, tmp_path / "test" / "good" / "0.png")
    dataset = read_dataset(tmp_path, progress=False)
    assert [s.name for s in dataset.samples] == ["test/good/0.png", "test/good/1.png"]
    assert "another split" in reasons(dataset)["train/good/0.png"]


@pytest.mark.parametrize(
    "pixels",
    [
        np.eye(5, 7, dtype=np.uint8),
        np.eye(5, 7, dtype=np.uint16),
        np.eye(5, 7, dtype=np.uint8)[..., None] * np.array([0, 0, 255], dtype=np.uint8),
        np.dstack([np.eye(5, 7)] * 3 + [np.ones((5, 7))]).astype(np.uint8) * 255,
    ],
    ids=["0 and 1", "16 bits", "red", "with alpha"],
)
def test_whatever_is_not_black_in_a_mask_is_defect(tmp_path: Path, pixels: npt.NDArray[np.generic]) -> None:
    mask = read_mask(write(tmp_path / "m.png", pixels), 5, 7)
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, np.eye(5, 7, dtype=bool))


def test_lossy_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="Save the mask as PNG"):
        read_mask(write(tmp_path / "m.jpg", plain(255)), 8, 12)


def dataset_of(clean: int, dented: int) -> Dataset:
    sample = Sample(Path("x.png"), "x.png", "clean", "0" * 64, 8, 8)
    samples = [replace(sample, name=f"{i}", sha256=f"{i:064}") for i in range(clean + dented)]
    samples[clean:] = [replace(sample, label="dent") for sample in samples[clean:]]
    return Dataset(Path("photos"), "class folders", tuple(samples))


@pytest.mark.parametrize(
    ("clean", "said"), [(0, "no clean photo;"), (1, "only 1 clean photo;"), (19, "only 19 clean photos;")]
)
def test_too_few_clean_photos_are_refused_with_figures_and_remedy(clean: int, said: str) -> None:
    with pytest.raises(DatasetError) as caught:
        check_trainable(dataset_of(clean, dented=3))
    assert said in caught.value.problem
    assert "class folders" in caught.value.problem
    assert "3 defective photos" in caught.value.problem
    assert f"{20 - clean} or more" in caught.value.remedy


def test_twenty_clean_photos_and_no_defects_are_enough() -> None:
    assert check_trainable(dataset_of(20, dented=0)) is None


def test_the_fingerprint_depends_on_content_and_label_alone() -> None:
    dataset = dataset_of(3, dented=1)
    renamed = tuple(replace(s, name=f"other/{s.name}", group="G") for s in reversed(dataset.samples))
    assert replace(dataset, samples=renamed).fingerprint == dataset.fingerprint
    relabelled = (replace(dataset.samples[0], label="dent"), *dataset.samples[1:])
    assert replace(dataset, samples=relabelled).fingerprint != dataset.fingerprint
