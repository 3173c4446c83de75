"""The photos of the accuracy benchmark: a data set, split by a seed, at Glint's input size."""

import argparse
import csv
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.decision import CLEAN
from models.preprocessing import Preprocessing, default_size
from training.anomaly import TrainingPhotos
from training.data.layouts import read_dataset
from training.data.samples import Sample, read_mask
from training.data.splits import Split, split_dataset
from training.images import load_images
from training.metrics import PixelTally

SETS = ("metal_nut", "magnetic_tile", "ball_screw")
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Case:
    """A data set and one way of splitting it.

    Attributes:
        folder: what `glint train` is given.
        seed: of the split, and of whatever the methods draw.
    """

    name: str
    folder: Path
    seed: int
    split: Split
    preprocessing: Preprocessing

    @cached_property
    def good(self) -> npt.NDArray[np.uint8]:
        """The good photos to learn from: uint8 [N, H, W, 3], RGB."""
        return self._images([sample for sample in self.split.train if sample.label == CLEAN])

    @cached_property
    def train(self) -> TrainingPhotos:
        """All photos to learn from."""
        return TrainingPhotos.of(self.split.train, self._images(self.split.train))

    @cached_property
    def test(self) -> npt.NDArray[np.uint8]:
        """The photos to judge: uint8 [N, H, W, 3], RGB."""
        return self._images(self.split.test)

    @property
    def defective(self) -> list[bool]:
        """Which of the photos to judge show a defect."""
        return [sample.label != CLEAN for sample in self.split.test]

    def aupro(self, maps: npt.NDArray[np.float32]) -> float | None:
        """Area under the per-region overlap curve of maps [N, H, W] over the test photos at input size.

        As in `training.summary`: a defective photo without a mask says nothing about its pixels.
        """
        tally = PixelTally()
        for sample, whole in zip(self.split.test, maps, strict=True):
            place = self.preprocessing.place(sample.height, sample.width)
            own = whole[place.top : place.top + place.height, place.left : place.left + place.width]
            if sample.label == CLEAN:
                tally.add(own, None)
            elif sample.mask is not None:
                mask = read_mask(sample.mask, sample.height, sample.width)
                if mask.any():
                    tally.add(own, mask)
        return tally.aupro()

    def _images(self, samples: list[Sample]) -> npt.NDArray[np.uint8]:
        return load_images(samples, self.preprocessing, progress=False)


def case_parser(description: str) -> argparse.ArgumentParser:
    """The arguments of every benchmark of these cases."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data", type=Path, help="Folder with metal_nut, magnetic_tile and ball_screw.")
    parser.add_argument("--trunk", type=Path, required=True, help="An ImageNet ResNet50, .safetensors.")
    parser.add_argument("--work", type=Path, required=True, help="Folder that keeps what was measured.")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--no-write", dest="write", action="store_false", help="Leave docs/ as it is.")
    return parser


def camera_of(photo: Path) -> str:
    """Where the camera of a ball screw's photo stood: the third field of the file's name."""
    return photo.stem.split("_")[2]


def read_case(data: Path, work: Path, name: str, seed: int) -> Case:
    """Read a data set and split it as `glint train --seed SEED` does."""
    folder = data / name if name != "ball_screw" else _by_camera(data / name, work / name)
    samples = read_dataset(folder, progress=False).samples
    split = split_dataset(samples, seed=seed)
    height, width = default_size((s.height, s.width) for s in split.train)
    return Case(name, folder, seed, split, Preprocessing(height=height, width=width))


def _by_camera(source: Path, copy: Path) -> Path:
    """Ball screws, grouped by the camera's position."""
    if not (copy / "groups.csv").exists():
        shutil.copytree(source, copy, dirs_exist_ok=True)
        photos = sorted(path for label in ("clean", "pitted") for path in (copy / label).iterdir())
        rows = [(path.relative_to(copy).as_posix(), camera_of(path)) for path in photos]
        with (copy / "groups.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("file", "group"), *rows])
    return copy
