"""Compares a new bundle with an earlier one of the part, on photos that neither was made from."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from models.bundle import Bundle, survey_bundles
from models.errors import BundleError, GlintError
from models.inspector import Inspector
from training.data.origins import reviewed_photos
from training.data.samples import Dataset
from training.evaluation import inspect_samples, made_from
from training.sign_off import DEFECT_RATE
from training.summary import Metrics, Record, summarise

# Below this, a difference is more than what chance gives one time in twenty.
_SURE = 0.05


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True)


class Shift(_Figures):
    """How many photos got one kind of mistake, escapes or false rejects, from either bundle."""

    n: int = Field(description="Photos on which it could be made.")
    before: int
    now: int
    mended: int = Field(description="Made before, not now.")
    made: int = Field(description="Made now, not before.")
    chance: float = Field(
        description="How often two bundles that err alike would differ so much or more: exact sign test, in "
        "which photos of a group count once."
    )


class TurnedPhoto(_Figures):
    """A photo whose verdict is another now; `better` and `worse` are mistakes mended and made."""

    file: str
    label: str
    before: str
    now: str
    change: Literal["better", "worse", "other"]


class Comparison(_Figures):
    """A new bundle against an earlier one, both in fp32, on the same photos."""

    part: str
    version: str = Field(description="Of the earlier bundle.")
    n_photos: int
    n_reviewed: int = Field(description="Of these, photos that people judged in the archive.")
    n_left_out: int = Field(
        description="Test photos left out: the earlier bundle was made from them, or from their group."
    )
    before: Metrics
    now: Metrics
    escapes: Shift
    false_rejects: Shift
    turned: list[TurnedPhoto]


@dataclass(frozen=True)
class Turned:
    """One photo whose verdict is another now: what both bundles said of it."""

    before: Record
    now: Record

    @property
    def unit(self) -> str:
        """What counts once: the photo, or its group."""
        return self.now.sample.unit

    @property
    def change(self) -> Literal["better", "worse", "other"]:
        """Whether a mistake was mended or made."""
        was, is_ = (record.escape or record.false_reject for record in (self.before, self.now))
        if was == is_:
            return "other"
        return "better" if was else "worse"


@dataclass(frozen=True)
class Compared:
    """The figures, the photos that turned (the worse first), and the earlier bundle to draw them with."""

    figures: Comparison
    turned: tuple[Turned, ...]
    inspector: Inspector


@dataclass(frozen=True)
class NotCompared:
    """There is an earlier bundle, and this is why nothing can be said."""

    problem: str


def find_predecessor(bundles: Path, part: str, asked: Path | None) -> Path | None:
    """The bundle to compare with: the one asked for, or the newest of the part; None if there is none.

    Raises:
        BundleError: when the one asked for is none, or is damaged.
    """
    if asked is not None:
        return Bundle.open(asked).path
    try:
        found = survey_bundles(bundles / part)
    except BundleError:
        return None
    return found.paths.get(part) or found.unreadable.get(part)


def compare(
    predecessor: Path,
    records: Sequence[Record],
    dataset: Dataset,
    *,
    defect_rate: float = DEFECT_RATE,
    progress: bool,
) -> Compared | NotCompared:
    """Inspect the new bundle's test photos with an earlier bundle, but for those that one was made from.

    Args:
        predecessor: the earlier bundle.
        records: test photos, as the new bundle inspected them.
        dataset: what these photos are from; photos of one group count as seen together.
        defect_rate: share of the line's parts that are defective, for what the figures cost.
        progress: show a progress bar on stderr.
    """
    try:
        inspector = Inspector.load(predecessor, "cpu", precision="fp32")
        unseen = _unseen(inspector.bundle, records, dataset)
        samples = [record.sample for record in unseen]
        title = f"Inspecting with {inspector.manifest.version}"
        before = inspect_samples(inspector, samples, title=title, progress=progress)
    except GlintError as error:
        return NotCompared(f"The earlier bundle cannot be used: {error}")
    if not unseen:
        return NotCompared(
            f"Version {inspector.manifest.version} of {inspector.manifest.part} saw each of the "
            f"{len(records)} test photos, or a photo of the same group, when it was made; compare with new "
            "photos: `glint evaluate`."
        )
    pairs = [Turned(*pair) for pair in zip(before, unseen, strict=True)]
    turned = _in_order([pair for pair in pairs if _verdict(pair.before) != _verdict(pair.now)])
    reviewed = reviewed_photos(dataset.root)
    figures = Comparison(
        part=inspector.manifest.part,
        version=inspector.manifest.version,
        n_photos=len(unseen),
        n_reviewed=sum(sample.name in reviewed for sample in samples),
        n_left_out=len(records) - len(unseen),
        before=summarise(before, defect_rate),
        now=summarise(unseen, defect_rate),
        escapes=_shift([(p.before.escape, p.now.escape, p.unit) for p in pairs if p.now.defective]),
        false_rejects=_shift(
            [(p.before.false_reject, p.now.false_reject, p.unit) for p in pairs if not p.now.defective]
        ),
        turned=[_named(pair) for pair in turned],
    )
    return Compared(figures, turned, inspector)


def sign_test(mended: int, made: int) -> float:
    """How often as many tosses of a fair coin fall so unevenly or more: the exact test, two-sided."""
    differing = mended + made
    tail = sum(math.comb(differing, count) for count in range(min(mended, made) + 1))
    return min(1.0, 2 * tail / (1 << differing))


def which_photos(figures: Comparison) -> str:
    """What it was compared on, in words."""
    kind = "photos"
    if figures.n_reviewed == figures.n_photos:
        kind = "reviewed photos"
    elif figures.n_reviewed:
        kind = f"photos ({figures.n_reviewed} of them reviewed)"
    counts = f"{figures.now.n_good} good, {figures.now.n_defective} defective"
    return f"the {figures.n_photos} {kind} that neither bundle was made from ({counts})"


def conclusion(name: str, shift: Shift) -> str:
    """One kind of mistake in a sentence; `name` is its plural."""
    if not shift.n:
        return f"{name}: no photo to tell by."
    if not shift.before and not shift.now:
        return f"{name}: none on {shift.n} photos, before and now."
    counts = f"{name}: {shift.before} of {shift.n} before, {shift.now} of {shift.n} now"
    if not shift.mended and not shift.made:
        return f"{counts}; the same photos."
    changes = f"{counts}; {shift.mended} mended, {shift.made} new"
    if shift.chance < _SURE:
        return f"{changes}: {_tendency(shift)}, beyond what chance explains."
    return f"{changes}: too few photos differ to call it {_tendency(shift)}."


def describe(outcome: Compared | NotCompared) -> list[str]:
    """The comparison in lines for the console."""
    if isinstance(outcome, NotCompared):
        return [f"Not compared with an earlier bundle. {outcome.problem}"]
    figures = outcome.figures
    lines = [f"Compared with {figures.part} {figures.version} on {which_photos(figures)}:"]
    was, is_ = (side.image_auroc.combined for side in (figures.before, figures.now))
    if was is not None and is_ is not None:
        lines.append(f"  AUROC, combined score: {was:.3f} before, {is_:.3f} now.")
    lines.append(f"  {conclusion('Escapes', figures.escapes)}")
    lines.append(f"  {conclusion('False rejects', figures.false_rejects)}")
    return lines


def _unseen(earlier: Bundle, records: Sequence[Record], dataset: Dataset) -> list[Record]:
    """The records of photos that are new to the earlier bundle, as are all photos of their groups."""
    seen = made_from(earlier)
    groups = {
        sample.group or sample.content
        for sample in dataset.samples
        if not seen.isdisjoint((sample.sha256, sample.pixels_sha256))
    }
    return [record for record in records if (record.sample.group or record.sample.content) not in groups]


def _named(pair: Turned) -> TurnedPhoto:
    sample = pair.now.sample
    return TurnedPhoto(
        file=sample.name,
        label=sample.label,
        before=_verdict(pair.before),
        now=_verdict(pair.now),
        change=pair.change,
    )


def _verdict(record: Record) -> str:
    return record.inspection.verdict


def _in_order(turned: Sequence[Turned]) -> tuple[Turned, ...]:
    ranks = ("worse", "better", "other")
    return tuple(sorted(turned, key=lambda pair: (ranks.index(pair.change), pair.now.sample.name)))


def _shift(photos: Sequence[tuple[bool, bool, str]]) -> Shift:
    """Counts over (mistaken before, mistaken now, group), one a photo."""
    balance: Counter[str] = Counter()
    for before, now, group in photos:
        balance[group] += before - now
    return Shift(
        n=len(photos),
        before=sum(before for before, _, _ in photos),
        now=sum(now for _, now, _ in photos),
        mended=sum(before and not now for before, now, _ in photos),
        made=sum(now and not before for before, now, _ in photos),
        chance=sign_test(sum(net > 0 for net in balance.values()), sum(net < 0 for net in balance.values())),
    )


def _tendency(shift: Shift) -> str:
    if shift.mended == shift.made:
        return "a difference"
    return "better" if shift.mended > shift.made else "worse"
