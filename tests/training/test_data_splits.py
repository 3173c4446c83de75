"""The split: nothing leaks, nothing is lost, shares are met, prescriptions are honoured."""

import hashlib
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import DatasetError
from training.data.samples import Sample
from training.data.splits import Split, split_dataset

thoroughly = settings(deadline=None, max_examples=100)


def photo(
    content: object, label: str = "clean", group: str = "", split: str | None = None, name: str = ""
) -> Sample:
    digest = hashlib.sha256(str(content).encode()).hexdigest()
    name = name or f"{label}/{content}.png"
    return Sample(Path(name), name, label, digest, 8, 8, group=group, split=split)


def photos(count: int, label: str = "clean", start: int = 0, split: str | None = None) -> list[Sample]:
    return [photo(start + index, label, split=split) for index in range(count)]


def sides(split: Split) -> dict[str, str]:
    """Which split each content went to."""
    return {sample.sha256: name for name, part in split.parts().items() for sample in part}


grouped_photos = st.lists(
    st.builds(
        photo,
        content=st.integers(0, 30),
        label=st.sampled_from(["clean", "dent", "scratched"]),
        group=st.sampled_from(["", "", "A", "B", "C", "D"]),
        name=st.uuids().map(str),
    ),
    max_size=19,
)


@thoroughly
@given(samples=grouped_photos, seed=st.integers(0, 5))
def test_no_group_and_no_content_is_on_two_sides_and_nothing_is_lost(
    samples: list[Sample], seed: int
) -> None:
    split = split_dataset(samples, seed=seed)

    assert sorted(s.name for part in split.parts().values() for s in part) == sorted(s.name for s in samples)
    declared = {sample.name: sample.group for sample in samples}
    for one, other in combinations(split.parts().values(), 2):
        for of in (lambda s: s.sha256, lambda s: s.group, lambda s: declared[s.name] or s.name):
            assert not {of(s) for s in one} & {of(s) for s in other}


@thoroughly
@given(samples=grouped_photos, seed=st.integers(0, 5), data=st.data())
def test_the_split_is_a_function_of_content_and_seed_alone(
    samples: list[Sample], seed: int, data: st.DataObject
) -> None:
    moved = [
        photo_with(
            sample, name=f"elsewhere/{index}", group=sample.group and f"group {ord(sample.group) * 7 % 5}"
        )
        for index, sample in enumerate(data.draw(st.permutations(samples)))
    ]
    assert sides(split_dataset(moved, seed=seed)) == sides(split_dataset(samples, seed=seed))


def photo_with(sample: Sample, name: str, group: str) -> Sample:
    return Sample(Path(name), name, sample.label, sample.sha256, 8, 8, group=group)


@thoroughly
@given(
    sizes=st.dictionaries(
        st.sampled_from(["clean", "dent", "scratched"]), st.lists(st.integers(1, 9), min_size=3, max_size=9)
    ),
    seed=st.integers(0, 5),
)
def test_a_label_with_three_groups_appears_in_every_split(sizes: dict[str, list[int]], seed: int) -> None:
    samples = [
        photo((label, group, index), label, group=f"{label} {group}")
        for label, groups in sizes.items()
        for group, size in enumerate(groups)
        for index in range(size)
    ]
    counts = split_dataset(samples, seed=seed).counts()
    for label in sizes:
        assert all(counts[name].get(label, 0) > 0 for name in ("train", "calibration", "test"))


@thoroughly
@given(
    clean=st.integers(20, 90), dents=st.integers(0, 40), seed=st.integers(0, 99), train=st.floats(0.4, 0.8)
)
def test_single_photos_meet_the_fractions_within_one(clean: int, dents: int, seed: int, train: float) -> None:
    fractions = (train, (1 - train) / 2, (1 - train) / 2)
    samples = photos(clean) + photos(dents, "dent", start=1000)
    counts = split_dataset(samples, seed=seed, fractions=fractions).counts()
    for label, total in (("clean", clean), ("dent", dents)):
        if total >= 5:
            for name, fraction in zip(counts, fractions, strict=True):
                assert abs(counts[name].get(label, 0) - fraction * total) <= 1


def test_three_photos_reach_every_split_even_where_the_fractions_speak_against_it() -> None:
    samples = photos(20) + photos(3, "dent", start=50)
    counts = split_dataset(samples, seed=0, fractions=(0.8, 0.1, 0.1)).counts()
    assert [counts[name]["dent"] for name in counts] == [1, 1, 1]


def test_other_seeds_give_other_splits() -> None:
    samples = photos(60)
    assert len({frozenset(sides(split_dataset(samples, seed=seed)).items()) for seed in range(5)}) == 5


def test_groups_of_uneven_size_meet_the_fractions_nearly() -> None:
    samples = [
        photo(1000 * group + index, group=f"G{group}")
        for group in range(30)
        for index in range(1 + group % 7)
    ]
    counts = split_dataset(samples, seed=1).counts()
    for name, fraction in (("train", 0.6), ("calibration", 0.2), ("test", 0.2)):
        assert counts[name]["clean"] == pytest.approx(fraction * len(samples), abs=1)


def test_a_prescribed_split_is_honoured_and_the_rest_shared_out() -> None:
    fixed = [
        sample
        for index, name in enumerate(["train", "calibration", "test"])
        for sample in photos(7 + index, start=100 * index, split=name)
    ]
    free = photos(20, start=1000)
    split = split_dataset(fixed + free, seed=0)
    went = sides(split)
    assert all(went[sample.sha256] == sample.split for sample in fixed)
    assert split.counts() == {"train": {"clean": 19}, "calibration": {"clean": 12}, "test": {"clean": 13}}


def test_mvtec_keeps_test_photos_for_testing_and_lends_defects() -> None:
    samples = [
        *photos(80, split="fit"),
        *photos(20, start=100, split="test"),
        *photos(20, "dent", start=200, split="lent"),
    ]
    split = split_dataset(samples, seed=3)
    assert split.counts() == {
        "train": {"clean": 60, "dent": 10},
        "calibration": {"clean": 20, "dent": 4},
        "test": {"clean": 20, "dent": 6},
    }
    assert {s.split for s in split.test if s.label == "clean"} == {"test"}


def test_a_group_prescribed_for_two_splits_is_refused() -> None:
    samples = [photo(1, group="A", split="train"), photo(2, group="A", split="test"), *photos(30, start=10)]
    with pytest.raises(DatasetError, match="group A is prescribed for different splits"):
        split_dataset(samples, seed=0)


@pytest.mark.parametrize(
    "samples",
    [
        [photo(index, group="one part") for index in range(40)],
        photos(30, split="train") + photos(10, start=50, split="calibration"),
    ],
    ids=["one group", "no test photos prescribed"],
)
def test_clean_photos_that_cannot_reach_every_split_are_refused(samples: list[Sample]) -> None:
    with pytest.raises(DatasetError, match=r"leave none for: .*test"):
        split_dataset(samples, seed=0)


def test_of_two_defects_one_is_learnt_from_and_one_tested_on() -> None:
    counts = split_dataset(photos(20) + photos(2, "dent", start=50), seed=0).counts()
    assert counts["train"]["dent"] == counts["test"]["dent"] == 1


def test_records_name_every_photo_with_its_split() -> None:
    samples = photos(20) + photos(5, "dent", start=50)
    split = split_dataset(samples, seed=0)
    by_split = defaultdict(list)
    for record in split.records():
        by_split[record.split].append(record.sha256)
        assert record.group
    assert {record.file for record in split.records()} == {sample.name for sample in samples}
    assert by_split == {name: [s.sha256 for s in part] for name, part in split.parts().items()}


def test_fractions_of_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        split_dataset(photos(30), seed=0, fractions=(1.0, 0.0, 0.0))
