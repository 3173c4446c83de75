"""Which layout is recognised, and which photo gets which label, mask, group and prescribed split."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import DatasetError
from training.data.layouts import read_dataset
from training.data.samples import Dataset


def write_photo(path: Path, shade: int) -> Path:
    """A photo of 8 x 12 pixels; another shade is another content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((8, 12, 3), shade, dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


def write_mask(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((8, 12), dtype=np.uint8)
    mask[2:4, 3:6] = 255
    assert cv2.imwrite(str(path), mask)
    return path


def labels(dataset: Dataset) -> dict[str, str]:
    return {sample.name: sample.label for sample in dataset.samples}


def reasons(dataset: Dataset) -> dict[str, str]:
    return {skipped.name: skipped.reason for skipped in dataset.skipped}


@pytest.mark.parametrize("clean", ["good", "OK", "Clean", "normal", "free"])
def test_class_folders_take_any_usual_name_for_the_clean_class(tmp_path: Path, clean: str) -> None:
    write_photo(tmp_path / clean / "a.png", 10)
    write_photo(tmp_path / "scratched" / "a.PNG", 20)
    mask = write_mask(tmp_path / "masks" / "scratched" / "a.png")

    dataset = read_dataset(tmp_path, progress=False)

    assert dataset.layout == "class folders"
    assert dataset.classes == ["clean", "scratched"]
    assert labels(dataset) == {f"{clean}/a.png": "clean", "scratched/a.PNG": "scratched"}
    assert {sample.name: sample.mask for sample in dataset.samples}["scratched/a.PNG"] == mask
    assert dataset.skipped == ()


def test_groups_csv_gives_groups_and_names_what_does_not_match(tmp_path: Path) -> None:
    for index in range(3):
        write_photo(tmp_path / "good" / f"{index}.png", index)
    (tmp_path / "groups.csv").write_text("file,group\ngood/0.png,A\ngood\\1.png,A\ngood/9.png,B\n")

    dataset = read_dataset(tmp_path, progress=False)

    first, second, third = (sample.group for sample in dataset.samples)
    assert first == second == "A"
    assert third not in ("", "A")
    assert reasons(dataset) == {"good/9.png": "named in groups.csv, but there is no such photo"}
    assert "1 photos are not in groups.csv" in dataset.hints[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("file,group\n0.png,A\n", "names none of the photos"),
        ("photo,part\ngood/0.png,A\n", "has the columns photo, part"),
        ("file,group\ngood/0.png,A\ngood/0.png,B\n", "second group"),
    ],
)
def test_groups_that_cannot_be_applied_are_refused_not_ignored(
    tmp_path: Path, text: str, problem: str
) -> None:
    write_photo(tmp_path / "good" / "0.png", 0)
    (tmp_path / "groups.csv").write_text(text)
    with pytest.raises(DatasetError, match=problem):
        read_dataset(tmp_path, progress=False)


def test_mvtec_layout_prescribes_splits_and_finds_masks(tmp_path: Path) -> None:
    write_photo(tmp_path / "train" / "good" / "000.png", 1)
    write_photo(tmp_path / "test" / "good" / "000.png", 2)
    write_photo(tmp_path / "test" / "bent" / "000.png", 3)
    mask = write_mask(tmp_path / "ground_truth" / "bent" / "000_mask.png")
    (tmp_path / "license.txt").write_text("CC BY-NC-SA 4.0")

    dataset = read_dataset(tmp_path, progress=False)

    assert dataset.layout == "MVTec AD"
    assert {s.name: (s.label, s.split, s.mask) for s in dataset.samples} == {
        "test/bent/000.png": ("bent", "lent", mask),
        "test/good/000.png": ("clean", "test", None),
        "train/good/000.png": ("clean", "fit", None),
    }
    assert dataset.skipped == ()


def test_defects_in_the_train_folder_keep_those_in_the_test_folder_for_testing(tmp_path: Path) -> None:
    for index, name in enumerate(
        ["train/good/0.png", "train/bent/0.png", "test/good/0.png", "test/bent/0.png"]
    ):
        write_photo(tmp_path / name, index)
    splits = {s.name: s.split for s in read_dataset(tmp_path, progress=False).samples}
    assert splits["train/bent/0.png"] == "fit"
    assert splits["test/bent/0.png"] == "test"


def test_flat_folder_reads_the_class_from_the_file_name(tmp_path: Path) -> None:
    names = [
        "scratched_012.jpg",
        "part_SCRATCH_1.jpg",
        "ok_1.jpg",
        "000.jpg",
        "unscratched_3.jpg",
        "no-scratch.jpg",
    ]
    for index, name in enumerate(names):
        write_photo(tmp_path / name, 20 * index)

    dataset = read_dataset(tmp_path, progress=False)

    assert dataset.layout == "flat folder, the class in the file name"
    assert labels(dataset) == {
        "000.jpg": "clean",
        "ok_1.jpg": "clean",
        "part_SCRATCH_1.jpg": "scratched",
        "scratched_012.jpg": "scratched",
    }
    assert set(reasons(dataset)) == {"no-scratch.jpg", "unscratched_3.jpg"}
    assert "2 photos with `scratch`" in dataset.hints[0]


def test_a_table_beside_flat_photos_that_is_not_understood_is_said(tmp_path: Path) -> None:
    write_photo(tmp_path / "0.png", 0)
    (tmp_path / "export.csv").write_text("photo,class\n0.png,scratched\n")
    assert "export.csv was not read" in read_dataset(tmp_path, progress=False).hints[1]


def test_folders_without_a_clean_class_can_be_read_but_have_no_clean_photos(tmp_path: Path) -> None:
    write_photo(tmp_path / "dent" / "0.png", 0)
    dataset = read_dataset(tmp_path, progress=False)
    assert (dataset.layout, dataset.count("clean"), dataset.count("dent")) == ("class folders", 0, 1)


@pytest.mark.parametrize("folder", ["anomalous", "Invalid", "große Kratzer", "-x"])
def test_folders_of_photos_that_cannot_be_a_class_are_refused_by_name(tmp_path: Path, folder: str) -> None:
    write_photo(tmp_path / "good" / "0.png", 0)
    write_photo(tmp_path / folder / "0.png", 1)
    with pytest.raises(DatasetError) as caught:
        read_dataset(tmp_path, progress=False)
    assert str(tmp_path / folder) in caught.value.problem
    assert "Rename the folder" in caught.value.remedy


def test_folders_that_cannot_be_a_class_and_hold_no_photos_are_left_out(tmp_path: Path) -> None:
    write_photo(tmp_path / "good" / "0.png", 0)
    (tmp_path / "old notes").mkdir()
    (tmp_path / "old notes" / "list.pdf").write_bytes(b"%PDF")
    dataset = read_dataset(tmp_path, progress=False)
    assert dataset.classes == ["clean"]
    assert list(reasons(dataset)) == ["old notes/"]
    assert "not a class folder" in reasons(dataset)["old notes/"]


def test_every_odd_file_is_named_with_its_reason_and_clutter_is_not(tmp_path: Path) -> None:
    outside = write_photo(tmp_path / "elsewhere" / "x.png", 5)
    root = tmp_path / "photos"
    write_photo(root / "good" / "0.png", 0)
    write_photo(root / "stray.png", 1)
    write_photo(root / "good" / "deeper" / "1.png", 2)
    (root / "good" / "notes.pdf").write_bytes(b"%PDF")
    (root / "good" / "linked.png").symlink_to(outside)
    (root / "good" / "broken.png").symlink_to(root / "nowhere.png")
    (root / "good" / "folder.png").mkdir()
    write_mask(root / "masks" / "scratched" / "7.png")
    for clutter in ("Thumbs.db", ".DS_Store", "README.md", "LICENSE", "notes.txt", ".hidden.png"):
        (root / "good" / clutter).write_bytes(b"x")

    dataset = read_dataset(root, progress=False)

    assert labels(dataset) == {"good/0.png": "clean"}
    assert {name: reason.split(";")[0] for name, reason in reasons(dataset).items()} == {
        "good/broken.png": "a link that leads nowhere",
        "good/deeper/": "a folder inside a class folder",
        "good/folder.png/": "a folder inside a class folder",
        "good/linked.png": "leads out of the data set's folder",
        "good/notes.pdf": "not a photo",
        "masks/scratched/7.png": "a mask for which there is no photo",
        "stray.png": "lies outside the class folders",
    }


def test_a_root_that_holds_no_data_set_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    photo = write_photo(tmp_path / "one.png", 0)
    for root, problem in [
        (tmp_path / "missing", "does not exist"),
        (photo, "is a file, but no CSV"),
        (tmp_path / "empty", "holds no photos"),
    ]:
        with pytest.raises(DatasetError, match=problem) as caught:
            read_dataset(root, progress=False)
        assert caught.value.remedy
