"""The route that tries other limits on recorded scores: `GET /parts/{part}/limits/trial`."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from models.intervals import CONFIDENCE
from models.manifest import NAME_PATTERN
from service.archive.scored import RecentScores
from service.errors import UnknownPartError
from service.http.documentation import problem_responses
from service.http.judgements import desk_of
from service.http.numbers import ShareAnswer
from service.registry import Registry
from service.review.trial import FEWEST, MOST, Judged, Trial, Tried, try_limits

LAST = 1000

router = APIRouter(tags=["review"])


class Wanted(BaseModel):
    """Which limits are tried on what; a limit that is left out stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    anomaly: float | None = Field(default=None, gt=0.0, le=1e9, allow_inf_nan=False)
    classifier: float | None = Field(default=None, gt=0.0, le=1.0)
    last: int = Field(default=LAST, ge=FEWEST, le=MOST, description="The newest so many parts.")
    version: str | None = Field(
        default=None, pattern=NAME_PATTERN, description="Parts that this bundle judged. [the one that serves]"
    )

    @property
    def tried(self) -> Tried:
        """The limits."""
        return Tried(self.anomaly, self.classifier)


class TriedLimits(BaseModel):
    """Where both rules fire."""

    model_config = ConfigDict(frozen=True)

    anomaly: float
    classifier: float | None = Field(description="Null without defect classes.")


class JudgedAnswer(BaseModel):
    """What became of the parts that operators judged."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    false_rejects: ShareAnswer = Field(description="Rejected, of the parts that operators found good.")
    escapes: ShareAnswer = Field(description="Passed, of the parts that operators found defective.")


class Outcome(BaseModel):
    """What one pair of limits makes of the parts."""

    model_config = ConfigDict(frozen=True)

    limits: TriedLimits
    rejected: ShareAnswer
    judged: JudgedAnswer


class TrialAnswer(BaseModel):
    """What the last parts were, and what they would have been with the limits that are tried.

    Operators judge rejects far more often than what passed: shares of the judged parts are no shares of all.
    """

    model_config = ConfigDict(frozen=True)

    part: str
    version: str = Field(description="The bundle that judged the parts.")
    confidence: float = Field(description="Of the intervals, two-sided.")
    parts: int = Field(description="How many of the last parts have a verdict of this bundle.")
    invalid: int = Field(description="How many more of it got no verdict.")
    other_versions: dict[str, int] = Field(description="How many of the last parts other bundles judged.")
    then: Outcome | None = Field(description="With the limits of the bundle; null without any part.")
    tried: Outcome | None = Field(description="With the limits that are tried.")
    n_to_defect: int = Field(description="Parts that were clean and would be rejected.")
    n_to_clean: int = Field(description="Parts that were rejected and would be clean.")
    to_defect: list[str] = Field(description="Ids of the newest of them, 50 at most.")
    to_clean: list[str]
    command: str = Field(description="What makes a version with these limits.")


@router.get(
    "/parts/{part}/limits/trial",
    summary="What the last parts would have been with other limits",
    responses=problem_responses(
        {
            404: "There is no such part, or no archive.",
            422: "A limit cannot be used.",
            503: "The archive cannot be asked now.",
        }
    ),
)
def limits_trial(part: str, request: Request, wanted: Annotated[Wanted, Query()]) -> TrialAnswer:
    seen = scores_of(request, part, wanted)
    return answer_of(request, part, seen, try_limits(seen, wanted.tried))


def scores_of(request: Request, part: str, wanted: Wanted) -> RecentScores:
    """The recorded scores that are looked at.

    Raises:
        UnknownPartError: when no bundle of this part is known.
        ArchiveOffError, ArchiveBusyError, ArchiveUnavailableError: when the archive cannot be asked.
    """
    desk = desk_of(request)
    registry: Registry = request.app.state.registry
    if part not in registry.part_names:
        raise UnknownPartError(part, registry.part_names)
    serving = registry.loaded.get(part)
    version = wanted.version or (serving.inspector.manifest.version if serving else None)
    return desk.recent_scores(part, version, wanted.last)


def answer_of(request: Request, part: str, seen: RecentScores, trial: Trial | None) -> TrialAnswer:
    """The answer for what was found; `trial` is None where no recorded score is of the version."""
    if trial is None:
        return TrialAnswer(
            part=part,
            version=seen.version,
            confidence=CONFIDENCE,
            parts=0,
            invalid=seen.invalid,
            other_versions=seen.others,
            then=None,
            tried=None,
            n_to_defect=0,
            n_to_clean=0,
            to_defect=[],
            to_clean=[],
            command="",
        )
    now = TriedLimits(anomaly=trial.anomaly, classifier=trial.classifier)
    then = TriedLimits(anomaly=trial.anomaly_then, classifier=seen.classifier_limit)
    return TrialAnswer(
        part=part,
        version=seen.version,
        confidence=CONFIDENCE,
        parts=len(seen.parts),
        invalid=seen.invalid,
        other_versions=seen.others,
        then=_outcome(then, trial.rejected_then, trial.judged_then),
        tried=_outcome(now, trial.rejected_now, trial.judged_now),
        n_to_defect=trial.n_to_defect,
        n_to_clean=trial.n_to_clean,
        to_defect=list(trial.to_defect),
        to_clean=list(trial.to_clean),
        command=command_of(request, part, seen.version, now),
    )


def command_of(request: Request, part: str, version: str, limits: TriedLimits) -> str:
    """The command that makes a version with these limits, where the bundles lie."""
    registry: Registry = request.app.state.registry
    serving = registry.loaded.get(part)
    home = serving.inspector.bundle.path.parent if serving else Path("bundles", part)
    place = Path(home.parent.name, home.name, version)
    words = [f"glint limits {place} --anomaly-limit {limits.anomaly!r}"]
    if limits.classifier is not None:
        words.append(f"--classifier-limit {limits.classifier!r}")
    return " ".join(words)


def _outcome(limits: TriedLimits, rejected: object, judged: Judged) -> Outcome:
    return Outcome(
        limits=limits,
        rejected=ShareAnswer.model_validate(rejected),
        judged=JudgedAnswer(
            false_rejects=ShareAnswer.model_validate(judged.false_rejects),
            escapes=ShareAnswer.model_validate(judged.escapes),
        ),
    )
