"""What judgements say of the service: escapes, wrong rejects, disagreement, and the defects by class."""

from dataclasses import dataclass
from datetime import datetime

from models.intervals import Share


@dataclass(frozen=True)
class Period:
    """Which inspections count: `since` is included, `until` is not; None does not restrict.

    An empty `camera` asks for those that named none.
    """

    part: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    camera: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Numbers:
    """Counts and shares; shares leave out what operators could not tell.

    Attributes:
        escapes: defects in the judged sample of the parts that passed as clean. The sample is drawn by
            chance, so that its share is an unbiased estimate of that of all of them.
        passed: how many parts passed as clean, review not asked for; only parts of which a sample is taken.
        sample_waiting: how many of the sample nobody has judged yet.
        sample_gone: how many of the sample nobody can judge any more, since their photos were removed.
        escapes_expected: how many of `passed` were defects by that share, with its interval.
        doubtful_defects: defects among the doubtful parts that were given as clean.
        false_rejects: good parts among the judged defects.
        disagreement: judged inspections whose verdict was overruled, those that people chose aside.
        cannot_tell: how many could not be told.
        defects: judged defects by class, the commonest first.
    """

    escapes: Share
    passed: int
    sample_waiting: int
    sample_gone: int
    escapes_expected: tuple[float, float, float] | None
    doubtful_defects: Share
    false_rejects: Share
    disagreement: Share
    cannot_tell: int
    defects: list[tuple[str, int]]
