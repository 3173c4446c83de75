"""`glint limits`: other limits for a bundle from the scores that it keeps, as a new version beside it."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from models.bundle import GOLDEN_RESULTS, MANIFEST, Bundle, GoldenOutcome, GoldenResult
from models.decision import Limits, from_limit, straight
from models.errors import BundleError, UsageError
from models.inspector import Inspector
from models.manifest import Agreement, Manifest, Variant
from models.precision import Precision
from models.scores import GraphScores, PhotoScores, file_of, read_graph_scores, read_photo_scores
from models.session import open_session
from models.variants import SCORE_TOLERANCE, why_not
from training.doubt import choose_with_doubt
from training.golden import difference_from_single
from training.limits import ChosenLimits, HeldOutScores
from training.packaging import BundleDraft
from training.recorded import groups_of, held_out, judge, records_of
from training.report.derived import Derivation, write_derived_report
from training.sign_off import DEFECT_RATE
from training.summary import Metrics, summarise
from training.targets import Targets, cannot_be_met, check_askable, set_by_hand

REPORT = "report.html"

# Golden photos nearer to the limit could turn by the rounding of another device.
_DOUBTFUL_GOLDEN = 0.02

# Figures that no limit changes and recorded scores do not give.
_OF_PIXELS = ("pixel_auroc", "aupro", "aupro_5", "n_masks", "quality_refusals")


_Outcome = TypeVar("_Outcome", bound=GoldenOutcome)


@dataclass(frozen=True)
class HandSet:
    """Limits that somebody names; None keeps the bundle's."""

    anomaly: float | None = None
    classifier: float | None = None


@dataclass(frozen=True)
class Plan:
    """Other limits for a bundle, and what they would do; nothing is written yet.

    Attributes:
        scores: of the calibration photos, which alone the limits are chosen on.
        before, after: the figures of the test photos with the bundle's limits and with the new ones.
        variants: the other graphs that still agree with fp32.
        dropped: those that do not, and why.
    """

    bundle: Bundle
    photos: tuple[PhotoScores, ...]
    scores: HeldOutScores
    asked: Targets | HandSet
    chosen: ChosenLimits
    conflict: str
    before: Metrics
    after: Metrics
    golden: tuple[GoldenResult, ...]
    variants: dict[Precision, Variant]
    dropped: dict[Precision, str]


def plan_limits(path: Path, asked: Targets | HandSet, defect_rate: float | None = None) -> Plan:
    """Choose other limits for the bundle at `path` from the scores that it keeps.

    Args:
        asked: targets, or limits that were set by hand.
        defect_rate: share of a line's parts that are defective; None for what the bundle was made with.

    Raises:
        BundleError: when the bundle cannot be read, or keeps no scores.
        UsageError: when what is asked cannot be had of this bundle.
    """
    bundle = Bundle.open(path)
    manifest = bundle.manifest
    photos = tuple(read_photo_scores(bundle))
    scores = held_out(photos, manifest.classes, groups_of(bundle))
    if not len(scores.defective) or scores.defective.all():
        raise BundleError(f"{path} keeps no score of a good calibration photo.", "Train it again.")
    conflict = ""
    if isinstance(asked, Targets):
        check_askable(asked, int(scores.defective.sum()))
        chosen, conflict = choose_with_doubt(scores, asked), cannot_be_met(scores, asked)
    else:
        chosen = set_by_hand(scores, _limits_by_hand(manifest, asked))
    # What no limit changes: figures before and after differ by the limits alone.
    kept = {name: getattr(manifest.limits, name) for name in ("review_band", "defect_score")}
    chosen = ChosenLimits(chosen.limits.model_copy(update=kept), chosen.origins, chosen.heatmap)
    rate = manifest.training.get("defect_rate", DEFECT_RATE) if defect_rate is None else defect_rate
    golden, differing = _judge_golden(bundle, chosen.limits)
    checked = {
        precision: _check_variant(bundle, variant, photos, chosen.limits)
        for precision, variant in manifest.variants.items()
        if precision != "fp32"
    }
    dropped: dict[Precision, str] = {p: why for p, why in checked.items() if isinstance(why, str)}
    dropped.update(differing)
    return Plan(
        bundle=bundle,
        photos=photos,
        scores=scores,
        asked=asked,
        chosen=chosen,
        conflict=conflict,
        before=_figures(bundle, photos, manifest.limits, rate),
        after=_figures(bundle, photos, chosen.limits, rate),
        golden=tuple(_without_variants(result, dropped) for result in golden),
        variants={p: v for p, v in checked.items() if isinstance(v, Variant) and p not in dropped},
        dropped=dropped,
    )


def write_version(plan: Plan) -> Bundle:
    """Write the planned limits as a new version beside the bundle: whole, or not at all.

    Graphs and photos are hard links to the bundle's where the disk has them. Before it gets its name, the
    golden photos are inspected with it.

    Raises:
        UsageError: when the targets cannot be met together, the bundle has these limits already, or its
            folder has not the name of its part.
        BundleError: when the new version does not give what it records.
    """
    if plan.conflict:
        raise UsageError(plan.conflict, "Ask for one of them, or for less; --dry-run shows the figures.")
    old = plan.bundle.manifest
    beside = {"doubt": old.limits.doubt, "typical": old.limits.typical}
    if plan.chosen.limits.model_copy(update=beside) == old.limits:
        raise UsageError("The bundle has these very limits already.", "Nothing was written.")
    home = plan.bundle.path.resolve().parent
    if home.name != old.part:
        raise UsageError(
            f"{plan.bundle.path} lies in no folder named {old.part}, so no version can be put beside it.",
            f"Move it to {old.part}/{old.version}.",
        )
    with BundleDraft(home.parent, old.part) as draft:
        kept_report = f"report-{old.version}.html"
        _link_files(plan, draft.folder, kept_report)
        golden = [result.model_dump() for result in plan.golden]
        (draft.folder / GOLDEN_RESULTS).write_text(json.dumps(golden, indent=2) + "\n", encoding="utf-8")
        manifest = _manifest(plan, draft, files={})
        write_derived_report(
            draft.folder / REPORT,
            manifest=manifest,
            derivation=Derivation(old, plan.before, kept_report, plan.dropped),
            records=records_of(plan.photos, manifest, manifest.limits, groups_of(plan.bundle)),
            metrics=plan.after,
            splits=plan.bundle.splits(),
        )
        manifest = _manifest(plan, draft, files=draft.checksums())
        _prove(Bundle(draft.folder, manifest), plan.bundle.path)
        return draft.publish(manifest)


def _limits_by_hand(manifest: Manifest, asked: HandSet) -> Limits:
    if asked.classifier is not None and manifest.limits.classifier is None:
        raise UsageError(
            "The bundle has no defect class, so its classifier has no limit.", "Leave --classifier-limit out."
        )
    anomaly = manifest.limits.anomaly if asked.anomaly is None else asked.anomaly
    classifier = manifest.limits.classifier if asked.classifier is None else asked.classifier
    return Limits(anomaly=anomaly, classifier=classifier)


def _figures(bundle: Bundle, photos: tuple[PhotoScores, ...], limits: Limits, defect_rate: float) -> Metrics:
    records = records_of(photos, bundle.manifest, limits, groups_of(bundle))
    metrics = summarise(records["test"], defect_rate)
    recorded = bundle.manifest.metrics
    return metrics.model_copy(update={name: recorded[name] for name in _OF_PIXELS if name in recorded})


def _check_variant(
    bundle: Bundle, variant: Variant, photos: tuple[PhotoScores, ...], limits: Limits
) -> Variant | str:
    """The variant with its agreement at these limits, or why it is not to be served with them."""
    classes, allowed = bundle.manifest.classes, SCORE_TOLERANCE[variant.precision]
    limits = straight(limits)
    given = {each.sha256: each for each in read_graph_scores(bundle, variant.precision)}
    difference, flips, compared, unknown = 0.0, 0, 0, 0
    for photo in photos:
        single = judge(photo, classes, limits, photo.refusal)
        if photo.split != "calibration" or single.score is None:
            continue
        if (other := given.get(photo.sha256)) is None:
            unknown += abs(single.score - 0.5) <= allowed
            continue
        found = judge(other, classes, limits)
        compared += 1
        flips += found.verdict != single.verdict
        difference = max(difference, 1.0 if found.score is None else abs(found.score - single.score))
    if unknown:
        return f"{unknown} calibration photos close to the new limit were never compared with fp32"
    agreement = Agreement(photos=compared, score=difference, flips=flips)
    checked = variant.model_copy(update={"agreement": agreement})
    return why_not(checked) or checked


def _judge_golden(bundle: Bundle, limits: Limits) -> tuple[list[GoldenResult], dict[Precision, str]]:
    """The golden results by other limits, and the graphs that no longer agree with fp32 on one.

    Photos that have come close to the limit are left out, unless all have.
    """
    classes = bundle.manifest.classes
    results = []
    for result in bundle.golden_results():
        variants = {name: _rejudged(one, classes, limits) for name, one in result.variants.items()}
        results.append(_rejudged(result, classes, limits).model_copy(update={"variants": variants}))
    kept = [result for result in results if _far(result, limits)] or results
    differing: dict[Precision, str] = {}
    for precision in bundle.manifest.variants:
        for result in kept:
            if precision in result.variants and precision not in differing:
                difference = difference_from_single(precision, result, result.variants[precision])
                differing |= {precision: f"{result.file}: {difference}"} if difference else {}
    return kept, differing


def _far(result: GoldenResult, limits: Limits) -> bool:
    defect = 1.0 - result.probabilities[0] if len(result.probabilities) > 1 else None
    return from_limit(result.anomaly_score, defect, limits) >= _DOUBTFUL_GOLDEN


def _rejudged(outcome: _Outcome, classes: list[str], limits: Limits) -> _Outcome:
    scores = GraphScores(sha256="", anomaly=outcome.anomaly_score, probabilities=outcome.probabilities)
    decision = judge(scores, classes, limits)
    if decision.score is None:
        raise BundleError("A golden photo has scores that are not finite numbers.", "Train the bundle again.")
    return outcome.model_copy(update={"verdict": decision.verdict, "score": decision.score})


def _without_variants(result: GoldenResult, dropped: dict[Precision, str]) -> GoldenResult:
    kept = {name: one for name, one in result.variants.items() if name not in dropped}
    return result.model_copy(update={"variants": kept})


def _link_files(plan: Plan, folder: Path, kept_report: str) -> None:
    """Everything that other limits do not change."""
    golden = {result.file for result in plan.golden}
    left_out = {GOLDEN_RESULTS, MANIFEST}
    for precision in plan.dropped:
        left_out |= {plan.bundle.manifest.variants[precision].file, file_of(precision)}
    for name in plan.bundle.manifest.files:
        if name in left_out or (name.startswith("golden/") and name not in golden):
            continue
        target = folder / (kept_report if name == REPORT else name)
        target.parent.mkdir(exist_ok=True)
        _link(plan.bundle.file(name), target)
    (folder / GOLDEN_RESULTS).parent.mkdir(exist_ok=True)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Some file systems have no hard links, and some forbid them.
        shutil.copy2(source, target)


def _manifest(plan: Plan, draft: BundleDraft, files: dict[str, str]) -> Manifest:
    old = plan.bundle.manifest
    asked = {name: value for name, value in vars(plan.asked).items() if value is not None}
    return old.model_copy(
        update={
            "version": draft.version,
            "created": draft.created,
            "limits": plan.chosen.limits,
            "limit_origins": plan.chosen.origins,
            "heatmap": plan.chosen.heatmap,
            "training": {**old.training, "limits": {"derived_from": old.version, **asked}},
            "metrics": plan.after.model_dump(mode="json"),
            "variants": {"fp32": old.variants["fp32"], **plan.variants},
            "left_out": {**old.left_out, **plan.dropped},
            "files": files,
            "checksum": None,
        }
    )


def _prove(bundle: Bundle, source: Path) -> None:
    inspector = Inspector(bundle, open_session(bundle.file(bundle.manifest.variants["fp32"].file), "cpu"))
    if bundle.golden_results() and (differences := inspector.check_golden()):
        raise BundleError(
            f"The new version does not give what it records: {'; '.join(differences)}.",
            f"Check the bundle it comes from: glint verify {source}.",
        )
