"""A measurement-system check as tables on the console."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.intervals import Share
from training.gauge.figures import Flipping, WayFigures
from training.gauge.study import Study
from training.gauge.words import conclusions, kappa_text, thing, title_of

_SHOWN = 20


def print_study(study: Study, console: Console | None = None) -> None:
    """Print a study for people, on stdout unless another console is given."""
    console = console or Console(highlight=False)
    for line in _what_was_done(study):
        console.print(line, markup=False, soft_wrap=True)
    console.print()
    console.print(_table(study))
    if study.flipping:
        console.print()
        console.print(_flipping_table(study))
    for line in conclusions(study):
        console.print()
        console.print(line, markup=False)


def _what_was_done(study: Study) -> list[str]:
    inspector = study.inspector
    manifest = inspector.manifest
    good = len(study.parts) - study.n_defective
    counts = f"{good} good, {study.n_defective} defective"
    lines = [
        f"{manifest.part} {manifest.version} in {inspector.variant.precision} on {inspector.provider}",
        f"{len(study.parts)} {thing(study, len(study.parts))} ({counts}) of {study.photos} ({study.layout})",
    ]
    if study.simulated:
        repeats, seed = study.simulated.repeats, study.simulated.seed
        lines.append(f"{repeats} repeats of each with each disturbance, simulated (seed {seed})")
    if study.n_left_out:
        lines.append(
            f"{study.n_left_out} photos are left out, since the bundle was made from them (see --all)"
        )
    if study.skipped:
        lines.append(f"{len(study.skipped)} files or groups could not be used:")
        lines += [f"  {skipped.name}: {skipped.reason}" for skipped in study.skipped]
    return lines


def _table(study: Study) -> Table:
    headings = ("repeats", "keep their outcome", "flips", "invalid", "kappa", "labels", "score")
    table = Table(*headings, box=None, padding=(0, 2, 0, 0))
    for way in study.ways:
        table.add_row(title_of(way.way, study.simulated), *_cells(way))
    return table


def _cells(way: WayFigures) -> tuple[str, ...]:
    deviation = way.spread.deviation
    return (
        f"{way.kept.count} of {way.kept.total}{_interval(way.kept)}",
        f"{way.n_flips}",
        f"{way.n_invalid}",
        kappa_text(way.kappa),
        kappa_text(way.standard.kappa),
        "none" if deviation is None else f"±{deviation:.4f}",
    )


def _interval(found: Share) -> str:
    """Whole per cent, so that the table fits a narrow console; the words have more."""
    if found.low is None or found.high is None:
        return ""
    return f" ({100 * found.low:.0f}-{100 * found.high:.0f} %)"


def _flipping_table(study: Study) -> Table:
    headings = (f"{thing(study, 1)} that flips", "label", "verdict", "score", "by", "flips", "scores")
    table = Table(*headings, box=None, padding=(0, 2, 0, 0))
    before = ""
    for each in study.flipping[:_SHOWN]:
        again = each.part == before
        # Names come from files, and square brackets in them are no markup.
        told = (each.part, each.label, each.verdict, score_text(each.score))
        table.add_row(*(Text("" if again else cell, overflow="fold") for cell in told), *_flip_cells(each))
        before = each.part
    if len(study.flipping) > _SHOWN:
        table.add_row(f"and {len(study.flipping) - _SHOWN} more rows (--json, --out)")
    return table


def _flip_cells(each: Flipping) -> tuple[str, ...]:
    scores = f"{score_text(each.lowest)} to {score_text(each.highest)}"
    return each.way, f"{each.flips} of {each.n_trials}", scores


def score_text(score: float | None) -> str:
    """A score with three digits; none without a verdict."""
    return "none" if score is None else f"{score:.3f}"
