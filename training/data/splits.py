"""Shares photos out to train, calibration and test: nothing is reported on what was learnt from."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.bundle import SplitRecord
from models.decision import CLEAN
from models.errors import DatasetError
from training.data.assignment import assign
from training.data.groups import join_groups
from training.data.samples import MIN_CLEAN, Prescription, Sample

SplitName = Literal["train", "calibration", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "calibration", "test")
FRACTIONS = (0.6, 0.2, 0.2)

# Of the defects in an MVTec test set: the classifier needs some to learn from, the report most of the rest.
_LENT = (0.5, 0.2, 0.3)

Shares = dict[Prescription | None, tuple[float, float, float]]


@dataclass(frozen=True)
class Split:
    """Which photo goes where; each part in the order of the names."""

    train: tuple[Sample, ...]
    calibration: tuple[Sample, ...]
    test: tuple[Sample, ...]

    def parts(self) -> dict[str, tuple[Sample, ...]]:
        """`{"train": ..., "calibration": ..., "test": ...}`."""
        return {"train": self.train, "calibration": self.calibration, "test": self.test}

    def counts(self) -> dict[str, dict[str, int]]:
        """Photos per split and label, such as `{"train": {"clean": 132}}`; `clean` first."""
        counters = {name: Counter(s.label for s in part) for name, part in self.parts().items()}
        order = sorted({label for c in counters.values() for label in c}, key=lambda x: (x != CLEAN, x))
        return {name: {label: c[label] for label in order if c[label]} for name, c in counters.items()}

    def records(self) -> list[SplitRecord]:
        """Which photo went where, by its digests, as the bundle keeps it."""
        return [record for name, part in self.parts().items() for record in split_records(part, name)]


def split_records(samples: Iterable[Sample], split: str) -> list[SplitRecord]:
    """The records of photos that went to `split`."""
    return [
        SplitRecord(
            sha256=s.sha256,
            pixels_sha256=s.pixels_sha256,
            file=s.name,
            label=s.label,
            group=s.group,
            split=split,
        )
        for s in samples
    ]


def split_dataset(
    samples: Iterable[Sample], *, seed: int, fractions: tuple[float, float, float] = FRACTIONS
) -> Split:
    """Split photos into train, calibration and test.

    Groups stay together (equal photos are a group), and a prescribed split is honoured. Within
    that, every label meets the fractions as nearly as its groups allow, and a label with three groups or
    more appears in every split (where labels share groups: as far as moving single groups can bring it).
    The result depends on the photos' content, labels, grouping and prescriptions and on the seed; not on
    names or order.

    Args:
        samples: the photos.
        seed: another seed gives another split.
        fractions: shares of train, calibration and test, all above 0; they are brought to a sum of 1.

    Raises:
        DatasetError: when photos of one group are prescribed for different splits, or when 20 clean photos or
            more cannot give every split a clean one.
        ValueError: when a fraction is not above 0.
    """
    if min(fractions) <= 0:
        raise ValueError(f"fractions {fractions} must all be above 0")
    joined = sorted(join_groups(samples), key=lambda sample: sample.name)
    shares = _shares(fractions)
    units = _units(joined, seed)
    sides = _assign(units, shares) if units else []
    side_of = {unit[0].group: side for unit, side in zip(units, sides, strict=True)}
    train, calibration, test = (
        tuple(sample for sample in joined if side_of[sample.group] == side) for side in range(len(SPLITS))
    )
    split = Split(train, calibration, test)
    _check_clean(split, units)
    return split


def _shares(fractions: tuple[float, float, float]) -> Shares:
    """What share of the photos with each prescription goes to each split; 0 where they may not go."""
    train, calibration, test = (fraction / sum(fractions) for fraction in fractions)
    fit = train / (train + calibration)
    return {
        None: (train, calibration, test),
        "train": (1.0, 0.0, 0.0),
        "calibration": (0.0, 1.0, 0.0),
        "test": (0.0, 0.0, 1.0),
        "fit": (fit, 1.0 - fit, 0.0),
        "lent": _LENT,
    }


def _units(samples: Sequence[Sample], seed: int) -> list[list[Sample]]:
    """The groups, in an order that only their photos' content and labels and the seed decide."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.group, []).append(sample)

    def key(unit: list[Sample]) -> str:
        content = sorted(f"{sample.content} {sample.label} {sample.split}" for sample in unit)
        return hashlib.sha256("\n".join([str(seed), *content]).encode()).hexdigest()

    return sorted(groups.values(), key=key)


def _assign(units: list[list[Sample]], shares: Shares) -> list[int]:
    """Choose a split, 0..2, for each group."""
    strata = sorted({(s.label, s.split) for unit in units for s in unit}, key=str)
    labels = sorted({label for label, _ in strata})
    counts = np.zeros((len(units), len(strata)))
    has_label = np.zeros((len(units), len(labels)), dtype=np.bool_)
    allowed = np.ones((len(units), len(SPLITS)), dtype=np.bool_)
    for row, unit in enumerate(units):
        for sample in unit:
            counts[row, strata.index((sample.label, sample.split))] += 1
            has_label[row, labels.index(sample.label)] = True
            allowed[row] &= np.array(shares[sample.split]) > 0
        if not allowed[row].any():
            raise _contradiction(unit)
    return assign(counts, has_label, allowed, np.array([shares[split] for _, split in strata]))


def _contradiction(unit: list[Sample]) -> DatasetError:
    first = unit[0]
    other = next((s for s in unit if s.split != first.split), first)
    return DatasetError(
        f"The group {first.group} is prescribed for different splits: {first.name} for {first.split}, "
        f"{other.name} for {other.split}.",
        "Prescribe one split for all photos of a group, or regroup them.",
    )


def _check_clean(split: Split, units: list[list[Sample]]) -> None:
    clean = {name: sum(s.label == CLEAN for s in part) for name, part in split.parts().items()}
    if sum(clean.values()) < MIN_CLEAN or all(clean.values()):
        return
    groups = sum(any(s.label == CLEAN for s in unit) for unit in units)
    empty = ", ".join(name for name, count in clean.items() if not count)
    raise DatasetError(
        f"The {sum(clean.values())} clean photos lie in {groups} groups and leave none for: {empty}.",
        "Each split needs clean photos of its own: add photos of other parts, check the groups, or leave "
        "prescribed splits empty in the table.",
    )
