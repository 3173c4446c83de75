"""The report's section on painted defects: what the classifier learnt from beside real photos."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.data.samples import Skipped
from training.report.cases import picture
from training.synthetic.photos import PaintedPhoto, PaintedPhotos

_SHOWN = 12


@dataclass(frozen=True)
class PaintedCase:
    """One painted photo: its class, the good photo it was painted on, and its picture as a data URI."""

    label: str
    source: str
    photo: str


@dataclass(frozen=True)
class PaintedSection:
    """How many photos were painted, by split and class, and some of them.

    Attributes:
        counts: rows of class, photos learnt from, photos that training stopped on.
        stand_ins: classes of which no real photo was held out, so that painted ones stood in.
        left_out: photos that could not be painted.
    """

    counts: tuple[tuple[str, int, int], ...]
    stand_ins: tuple[str, ...]
    cases: tuple[PaintedCase, ...]
    left_out: tuple[Skipped, ...]


def painted_section(painted: PaintedPhotos, stand_ins: Sequence[PaintedPhoto]) -> PaintedSection | None:
    """The section's contents; None where nothing was painted.

    Args:
        stand_ins: the painted calibration photos that training stopped on.
    """
    if not painted.train:
        return None
    learnt, stopped = ([photo.label for photo in part] for part in (painted.train, stand_ins))
    counts = tuple((name, learnt.count(name), stopped.count(name)) for name in sorted(painted.classes))
    return PaintedSection(
        counts,
        tuple(sorted(set(stopped))),
        tuple(PaintedCase(p.label, p.source, picture(p.painted.pixels)) for p in painted.train[:_SHOWN]),
        painted.left_out,
    )
