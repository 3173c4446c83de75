"""The report's comparison with the part's previous bundle: what got better or worse, and on which photos."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from models.errors import DatasetError, PhotoError
from models.inspector import Inspector
from models.manifest import RateInterval
from training.comparison import Compared, NotCompared, Shift, Turned, conclusion, which_photos
from training.report.cases import mask_of, picture
from training.report.templates import template
from training.summary import Metrics, Record

SHOWN = 12


@dataclass(frozen=True)
class Row:
    """One figure of both bundles: an area under a curve, or a rate with its interval."""

    name: str
    before: float | RateInterval | None
    now: float | RateInterval | None


@dataclass(frozen=True)
class TurnedCase:
    """A photo whose verdict turned; the pictures are data URIs, empty where they could not be made."""

    name: str
    label: str
    before: str
    now: str
    change: str
    caption: str
    photo: str = ""
    overlay_before: str = ""
    overlay_now: str = ""


def comparison_section(outcome: Compared | NotCompared | None, inspector: Inspector) -> Markup:
    """The section as HTML; empty for the first bundle of a part.

    Args:
        outcome: what the comparison came to.
        inspector: the new bundle's; it inspects the photos that are shown once more.
    """
    if outcome is None:
        return Markup()
    page = template("sections/comparison.html.j2")
    if isinstance(outcome, NotCompared):
        return Markup(page.render(problem=outcome.problem))  # noqa: S704 (rendered with escaping)
    return Markup(page.render(problem="", **_values(outcome, inspector)))  # noqa: S704 (as above)


def _values(compared: Compared, inspector: Inspector) -> dict[str, Any]:
    figures = compared.figures
    shifts: Iterable[tuple[str, Shift]] = (
        ("Escapes", figures.escapes),
        ("False rejects", figures.false_rejects),
    )
    return {
        "figures": figures,
        "part": inspector.manifest.part,
        "photos": which_photos(figures),
        "rows": _rows(figures.before, figures.now),
        "conclusions": [(conclusion(name, shift), _tone(shift)) for name, shift in shifts],
        "cases": [_case(compared.inspector, inspector, pair) for pair in compared.turned[:SHOWN]],
        "counts": {
            kind: sum(pair.change == kind for pair in compared.turned)
            for kind in ("worse", "better", "other")
        },
    }


def _rows(before: Metrics, now: Metrics) -> list[Row]:
    old, new = before.image_auroc, now.image_auroc
    return [
        Row("Escapes", before.escape_interval, now.escape_interval),
        Row("False rejects", before.false_reject_interval, now.false_reject_interval),
        Row("AUROC, combined score", old.combined, new.combined),
        Row("AUROC, classifier", old.classifier, new.classifier),
        Row("AUROC, anomaly", old.anomaly, new.anomaly),
    ]


def _tone(shift: Shift) -> str:
    """The style of a conclusion: more new mistakes than mended ones is what must be seen."""
    if shift.made > shift.mended:
        return "bad"
    return "fine" if shift.mended > shift.made else ""


def _case(earlier: Inspector, inspector: Inspector, pair: Turned) -> TurnedCase:
    sample = pair.now.sample
    case = TurnedCase(
        name=sample.name,
        label=sample.label,
        before=pair.before.inspection.verdict,
        now=pair.now.inspection.verdict,
        change=pair.change,
        caption=f"score {_score(pair.before)} before, {_score(pair.now)} now",
    )
    try:
        data = sample.path.read_bytes()
        photo = picture(inspector.prepare(data).photo.pixels, mask_of(sample))
        overlays = _overlay(earlier, pair.before, data), _overlay(inspector, pair.now, data)
    except (OSError, PhotoError, DatasetError):
        return case
    return replace(case, photo=photo, overlay_before=overlays[0], overlay_now=overlays[1])


def _overlay(inspector: Inspector, record: Record, data: bytes) -> str:
    """The overlay; the bare photo where there was no verdict, since its map may hold no numbers."""
    if record.invalid:
        return picture(inspector.prepare(data).photo.pixels)
    _, prepared, outputs = inspector.inspect(data)
    return picture(inspector.overlay(prepared, outputs))


def _score(record: Record) -> str:
    return "none" if record.inspection.score is None else f"{record.inspection.score:.3f}"
