"""Which photos are kept."""

import pytest

from service.archive.policy import read_policy
from service.errors import SettingsError
from tests.service.archive.conftest import MakeEntry


def test_a_share_of_the_clean_photos_is_sampled_by_their_ids_alone(make_entry: MakeEntry) -> None:
    policy = read_policy("defects:0.05")
    photos = [make_entry("clean").inspection for _ in range(4000)]
    kept = [policy.keeps(photo) for photo in photos]
    assert 0.03 < sum(kept) / len(kept) < 0.07
    assert kept == [policy.keeps(photo) for photo in photos]


def test_reviews_and_defects_are_never_sampled_away(make_entry: MakeEntry) -> None:
    policy = read_policy("defects")
    assert policy.keeps(make_entry("clean", needs_review=True).inspection)
    assert policy.keeps(make_entry("anomalous").inspection)
    assert policy.keeps(make_entry("clean", verdict="invalid").inspection)
    assert not policy.keeps(make_entry("clean").inspection)


@pytest.mark.parametrize(
    "text",
    ["", "some", "defects:", "defects:2", "defects:-1", "all,bracket", "all,=none", "all,a=none,a=all"],
)
def test_a_policy_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="GLINT_ARCHIVE_PHOTOS"):
        read_policy(text)
