"""Limits, tried on recorded scores, as a page."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from service.access.rules import STATION
from service.archive.scored import RecentScores, Scored
from service.http.judgements import desk_of
from service.http.trials import LAST, Wanted, answer_of, scores_of
from service.registry import Registry
from service.review.trial import Trial, Tried, try_limits
from service.station.pages import PageRoute
from service.station.station import Station

PATH = f"{STATION}limits"
SPANS = (100, 1000, 5000, 10_000)

# A slider reaches from this part of the limit to this many times of it.
_REACH = (0.4, 2.5)
_STEPS = 400

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(PATH)
def limits(request: Request) -> Response:
    """What the last parts would have been with other limits."""
    station: Station = request.app.state.station
    registry: Registry = request.app.state.registry
    desk = desk_of(request)
    parts = sorted(registry.part_names)
    asked = request.query_params
    part = asked.get("part") if asked.get("part") in parts else next(iter(parts), None)
    if part is None:
        return station.pages.render(request, "limits", part=None, parts=[], **_NOTHING)
    wanted, refused = _read(dict(asked))
    seen = scores_of(request, part, wanted)
    trial = try_limits(seen, _tried(wanted, seen))
    turned = desk.records((*trial.to_clean, *trial.to_defect)) if trial else []
    by_id = {record.id: record for record in turned}
    return station.pages.render(
        request,
        "limits",
        part=part,
        parts=parts,
        version=seen.version,
        found=answer_of(request, part, seen, trial),
        refused=refused,
        last=wanted.last,
        spans=sorted({*SPANS, wanted.last}),
        sliders=_sliders(trial) if trial else {},
        to_clean=[by_id[each] for each in trial.to_clean if each in by_id] if trial else [],
        to_defect=[by_id[each] for each in trial.to_defect if each in by_id] if trial else [],
        pictures=_pictures(trial, station.pages.texts["limits"]) if trial else [],
    )


_NOTHING: dict[str, Any] = {
    "version": "",
    "found": None,
    "refused": (),
    "last": LAST,
    "spans": SPANS,
    "sliders": {},
    "to_clean": (),
    "to_defect": (),
    "pictures": (),
}


def _read(asked: dict[str, str]) -> tuple[Wanted, list[str]]:
    """What is wanted, and the names of the fields that cannot be used; they stay as they are."""
    given = {name: asked[name] for name in Wanted.model_fields if asked.get(name)}
    refused: list[str] = []
    while True:
        try:
            return Wanted.model_validate(given), refused
        except ValidationError as error:
            bad = {str(each["loc"][0]) for each in error.errors()}
            refused += sorted(bad)
            given = {name: value for name, value in given.items() if name not in bad}


def _tried(wanted: Wanted, seen: RecentScores) -> Tried:
    """The limits; one that is the bundle's own as the page shows it, with six digits, is left as it is."""

    def unless_shown(tried: float | None, now: float | None) -> float | None:
        return None if tried is None or now is None or f"{tried:.6g}" == f"{now:.6g}" else tried

    return Tried(
        unless_shown(wanted.anomaly, seen.anomaly_limit),
        unless_shown(wanted.classifier, seen.classifier_limit),
    )


def _sliders(trial: Trial) -> dict[str, dict[str, float]]:
    """Each rule's limit now and as tried, and the ends and the step of its slider."""
    low, high = _REACH[0] * trial.anomaly_then, _REACH[1] * trial.anomaly_then
    low, high = min(low, trial.anomaly), max(high, trial.anomaly)
    sliders = {
        "anomaly": {
            "now": trial.anomaly_then,
            "tried": trial.anomaly,
            "low": _rounded(low),
            "high": _rounded(high),
            "step": _rounded((high - low) / _STEPS),
        }
    }
    if trial.classifier is not None and trial.seen.classifier_limit is not None:
        sliders["classifier"] = {
            "now": trial.seen.classifier_limit,
            "tried": trial.classifier,
            "low": 1.0 / _STEPS,
            "high": 1.0,
            "step": 1.0 / _STEPS,
        }
    return sliders


def _rounded(value: float) -> float:
    """To four digits: browsers find a slider at its end invalid where the end has more than they keep."""
    return float(f"{value:.4g}")


def _pictures(trial: Trial, texts: Any) -> list[Any]:
    """A histogram for each rule: all parts upwards, those that operators found defective downwards."""
    # It brings numpy, which starting the service does without.
    from models.histogram import Mark, histogram

    def score(rule: str, part: Scored) -> float:
        return part.anomaly if rule == "anomaly" else part.defect_probability or 0.0

    rules: list[tuple[str, float, float, float | None]] = [
        ("anomaly", trial.anomaly, trial.anomaly_then, None)
    ]
    if trial.classifier is not None and trial.seen.classifier_limit is not None:
        rules.append(("classifier", trial.classifier, trial.seen.classifier_limit, 1.0))
    return [
        histogram(
            [score(rule, part) for part in trial.seen.parts if not part.defective],
            [score(rule, part) for part in trial.seen.parts if part.defective],
            (
                Mark(tried, texts["mark_tried"].format(limit=f"{tried:.4g}"), "tried"),
                Mark(now, texts["mark_now"].format(limit=f"{now:.4g}")),
            ),
            axis=texts[f"score_{rule}"],
            sides=(texts["side_parts"], texts["side_defects"]),
            high=high,
            description=texts["picture"].format(score=texts[f"score_{rule}"]),
            counts=texts["axis_counts"],
        ).svg
        for rule, tried, now, high in rules
    ]
