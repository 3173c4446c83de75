"""The CSV layout: `file,label[,mask][,group][,split]`."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import DatasetError
from training.data.layouts import read_dataset


def write_photos(root: Path, count: int) -> None:
    (root / "images").mkdir(parents=True)
    for index in range(count):
        assert cv2.imwrite(str(root / "images" / f"{index}.png"), np.full((6, 9), index, dtype=np.uint8))


def test_a_table_names_label_mask_group_and_split(tmp_path: Path) -> None:
    write_photos(tmp_path, 4)
    assert cv2.imwrite(str(tmp_path / "m.png"), np.eye(6, 9, dtype=np.uint8))
    table = tmp_path / "labels.csv"
    table.write_text(
        "File,Label,mask,group,split\n"
        "images/0.png,OK,,A,train\n"
        "images\\1.png,dent,m.png,B,test\n"
        "images/../images/2.png,good,,A,\n"
        f"{tmp_path / 'images' / '3.png'},good,,,Validation\n"
    )

    by_folder, by_file = read_dataset(tmp_path, progress=False), read_dataset(table, progress=False)

    assert by_folder == by_file
    assert by_folder.layout == "table labels.csv"
    assert [(s.name, s.label, s.split, s.mask) for s in by_folder.samples] == [
        ("images/0.png", "clean", "train", None),
        ("images/1.png", "dent", "test", tmp_path / "m.png"),
        ("images/2.png", "clean", None, None),
        ("images/3.png", "clean", "calibration", None),
    ]
    assert [s.group for s in by_folder.samples[:3]] == ["A", "B", "A"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_as_spreadsheets_write_them_are_read(tmp_path: Path, delimiter: str) -> None:
    write_photos(tmp_path, 1)
    rows = ["file,label", "images/0.png,good", ",", ""]
    text = "\r\n".join(rows).replace(",", delimiter)
    (tmp_path / "labels.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [s.label for s in read_dataset(tmp_path, progress=False).samples] == ["clean"]


def test_rows_that_cannot_be_used_are_named_by_line(tmp_path: Path) -> None:
    write_photos(tmp_path / "root", 3)
    assert cv2.imwrite(str(tmp_path / "out.png"), np.zeros((6, 9), dtype=np.uint8))
    rows = [
        "file,label,mask,split",
        "images/0.png,good,,",
        ",good,,",
        "images/9.png,good,,",
        "images/1.png,,,",
        "images/1.png,anomalous,,",
        "images/1.png,good,,holdout",
        "../out.png,good,,",
        "images/0.png,good,,train",
        "images,good,,",
        "images/2.png,dent,none.png,",
        "images/2.png",
        f"{'x' * 300}.png,good",
        "images/\x000.png,good",
    ]
    (tmp_path / "root" / "labels.csv").write_text("\n".join(rows))

    dataset = read_dataset(tmp_path / "root", progress=False)

    assert [s.name for s in dataset.samples] == ["images/0.png", "images/2.png"]
    expected = {
        3: "names no file",
        4: "no such file",
        5: "cannot be the name of a class",
        6: "reserved",
        7: "unknown split 'holdout'",
        8: "leads out of the data set's folder",
        9: "was on line 2",
        10: "not a file",
        11: "kept without a mask",
        12: "cannot be the name of a class",
        13: "not a usable path",
        14: "no such file",
    }
    found = {int(skipped.name.rpartition(" ")[2]): skipped.reason for skipped in dataset.skipped}
    assert found.keys() == expected.keys()
    for line, reason in expected.items():
        assert reason in found[line]


def test_a_table_without_calibration_photos_lends_some_of_the_training_photos(tmp_path: Path) -> None:
    write_photos(tmp_path, 2)
    (tmp_path / "labels.csv").write_text(
        "file,label,split\nimages/0.png,good,train\nimages/1.png,good,test\n"
    )
    dataset = read_dataset(tmp_path, progress=False)
    assert [s.split for s in dataset.samples] == ["fit", "test"]
    assert "names no photos for calibration" in dataset.hints[0]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"name,class\n0.png,good\n", "has the columns name, class"),
        (b"", "has the columns"),
        (b"file,label\n\xff\xfe.png,good\n", "cannot be read as CSV"),
        (b"file,label\n", "holds no photos"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_bytes(content)
    with pytest.raises(DatasetError, match=problem):
        read_dataset(table, progress=False)


def test_several_tables_in_one_folder_are_not_chosen_between(tmp_path: Path) -> None:
    write_photos(tmp_path, 1)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("file,label\nimages/0.png,good\n")
    with pytest.raises(DatasetError, match=r"several tables: a\.csv, b\.csv"):
        read_dataset(tmp_path, progress=False)
