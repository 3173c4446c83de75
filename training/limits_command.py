"""`glint limits`: what other limits would do, and a new version of a bundle with them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from models.errors import UsageError
from training.options import AsJson, need_training_extra

if TYPE_CHECKING:
    from models.decision import Limits
    from training.rederive import HandSet, Plan
    from training.summary import Metrics
    from training.targets import Outcome, Targets


def limits(
    bundle: Annotated[Path, typer.Argument(help="The bundle: bundles/<part>/<version>.", show_default=False)],
    max_false_rejects: Annotated[
        float | None, typer.Option(min=1e-5, max=0.5, help="Largest share of good parts to reject.")
    ] = None,
    max_escapes: Annotated[
        float | None, typer.Option(min=1e-5, max=0.5, help="Largest share of defective parts to pass.")
    ] = None,
    anomaly_limit: Annotated[
        float | None, typer.Option(min=1e-6, help="Set this limit by hand instead of choosing it.")
    ] = None,
    classifier_limit: Annotated[
        float | None, typer.Option(min=1e-9, max=1.0, help="Set this limit by hand instead of choosing it.")
    ] = None,
    defect_rate: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Share of the line's parts that are defective. [as trained]"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what they would do.")] = False,
    as_json: AsJson = False,
) -> None:
    """Choose other limits from the scores that a bundle keeps, and write it as a new version beside it.

    Nothing is trained again. The graphs are the same, so that a service can go from one to the other.

    Example: glint limits bundles/bracket/20260131-120000 --max-false-rejects 0.005 --dry-run
    """
    need_training_extra()
    asked = _asked(max_false_rejects, max_escapes, anomaly_limit, classifier_limit)
    from training.rederive import plan_limits, write_version

    plan = plan_limits(bundle, asked, defect_rate)
    if not as_json:
        print_plan(plan)
    written = None if dry_run else write_version(plan)
    if as_json:
        found = {**as_dict(plan), "written": None if written is None else str(written.path)}
        typer.echo(json.dumps(found, allow_nan=False))
    elif written is not None:
        typer.echo(f"Bundle: {written.path}\nReport: {written.path / 'report.html'}")
        typer.echo(f"Serve it: POST /parts/{written.manifest.part}/activate, or start the service again.")


def as_dict(plan: "Plan") -> dict[str, Any]:
    """The plan as JSON values."""
    return {
        "part": plan.bundle.manifest.part,
        "derived_from": plan.bundle.manifest.version,
        "limits": plan.chosen.limits.model_dump(),
        "limits_before": plan.bundle.manifest.limits.model_dump(),
        "limit_origins": plan.chosen.origins.model_dump(),
        "conflict": plan.conflict,
        "test": plan.after.model_dump(mode="json"),
        "test_before": plan.before.model_dump(mode="json"),
        "variants": {name: one.model_dump() for name, one in plan.variants.items()},
        "dropped": dict(plan.dropped),
    }


def print_plan(plan: "Plan", console: Console | None = None) -> None:
    """Print what the limits would do, for people."""
    from training.targets import outcome_of

    console = console or Console(highlight=False)
    old, new = plan.bundle.manifest.limits, plan.chosen.limits
    before, after = outcome_of(plan.scores, old), outcome_of(plan.scores, new)
    table = Table("", "limits now", "these limits", box=None, padding=(0, 3, 0, 0))
    table.add_row("anomaly limit", f"{old.anomaly:.4g}", f"{new.anomaly:.4g}")
    if new.classifier is not None:
        table.add_row("classifier limit", _limit(old.classifier), _limit(new.classifier))
    for rule in ("anomaly", "classifier"):
        if _doubt(old, rule) or _doubt(new, rule):
            table.add_row(f"in doubt, {rule}", _doubt(old, rule), _doubt(new, rule))
    table.add_row("calibration photos: good rejected", _rejected(before), _rejected(after))
    table.add_row("calibration photos: defective passed", _passed(before), _passed(after))
    table.add_row("test photos: good rejected", *(_test_rejected(m) for m in (plan.before, plan.after)))
    table.add_row("test photos: defective passed", *(_test_passed(m) for m in (plan.before, plan.after)))
    console.print(f"{plan.bundle.manifest.part} {plan.bundle.manifest.version}", markup=False)
    console.print(table)
    for line in _words(plan):
        console.print(line, markup=False, soft_wrap=True)


def _doubt(limits: "Limits", rule: str) -> str:
    """Where another choice of photos would have put a rule's limit; empty where nothing is known of it."""
    around = None if limits.doubt is None else getattr(limits.doubt, rule)
    return "" if around is None else f"{around[0]:.4g} to {around[1]:.4g}"


def _words(plan: "Plan") -> list[str]:
    origins = (plan.chosen.origins.classifier, plan.chosen.origins.anomaly)
    notes = [origin.note for origin in origins if origin is not None and origin.note]
    words = [f"Note: {note}" for note in dict.fromkeys(notes)]
    if plan.conflict and plan.conflict not in " ".join(words):
        words.append(f"Note: {plan.conflict}")
    words += [f"No {precision} graph with these limits: {why}." for precision, why in plan.dropped.items()]
    return [
        *words,
        "Limits are chosen on the calibration photos; the test photos only show what comes of it.",
    ]


def _asked(
    max_false_rejects: float | None,
    max_escapes: float | None,
    anomaly_limit: float | None,
    classifier_limit: float | None,
) -> "Targets | HandSet":
    targets = (max_false_rejects, max_escapes) != (None, None)
    by_hand = (anomaly_limit, classifier_limit) != (None, None)
    if targets == by_hand:
        raise UsageError(
            "Limits are either chosen for a target or set by hand.",
            "Use --max-false-rejects, --max-escapes or both; or --anomaly-limit, --classifier-limit or both.",
        )
    from training.rederive import HandSet
    from training.targets import Targets

    return Targets(max_false_rejects, max_escapes) if targets else HandSet(anomaly_limit, classifier_limit)


def _limit(limit: float | None) -> str:
    return "never fires" if limit is None else f"{limit:.4g}"


def _rejected(found: "Outcome") -> str:
    rate = found.false_rejects
    return (
        "none" if rate is None else f"{found.rejected} of {found.n_good} ({rate.low:.1%} to {rate.high:.1%})"
    )


def _passed(found: "Outcome") -> str:
    rate = found.escapes
    return (
        "none"
        if rate is None
        else f"{found.passed} of {found.n_defective} ({rate.low:.1%} to {rate.high:.1%})"
    )


def _test_rejected(metrics: "Metrics") -> str:
    rate = metrics.false_reject_interval
    if rate is None:
        return "no good photo"
    return f"{round(rate.rate * metrics.n_good)} of {metrics.n_good} ({rate.low:.1%} to {rate.high:.1%})"


def _test_passed(metrics: "Metrics") -> str:
    rate = metrics.escape_interval
    if rate is None:
        return "no defective photo"
    count = round(rate.rate * metrics.n_defective)
    return f"{count} of {metrics.n_defective} ({rate.low:.1%} to {rate.high:.1%})"
