"""Whether a line still gives photos like those that its model was calibrated on.

Every reading of a photo becomes a normal score against the calibration photos (`Reference`), and two
statistics watch it:

- EWMA, z = (1 - lambda) z + lambda x (Roberts, Technometrics 1, 1959), sees the level move. Its limit is
  L sqrt(lambda / (2 - lambda) + 1 / n): the second term is the doubt about the mean of n calibration
  photos, which with 20 of them is the larger part. It is never below `LEAST_SHIFT`: calibration photos come
  from a few hours and photos of one line resemble their neighbours, so that a small shift is normal.
- The population stability index over the last `WINDOW` photos sees the spread change.

Rejects are counted over the same window against the highest rate that the calibration allows for (binomial).
`tests/drills/test_drift.py` prints the false alarms and the delays that these numbers give.
"""

import math
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from service.telemetry.reference import (
    FEWEST_PHOTOS,
    Reference,
    highest_rate,
    most_rejects,
    stability_index,
)

LAMBDA = 0.02
CONTROL = 5.0  # L, in standard deviations
LEAST_SHIFT = 1.15
WINDOW = 200
# Two cameras that were calibrated together, one half of the photos each, have an index of about 2.2.
STABILITY_LIMIT = 2.5
REJECT_ALPHA = 1e-6
# An alarm ends below this share of its limit, so that one at the limit does not come and go.
_RELEASE = 0.8
# The index of a window moves slowly, and of a few photos it is mostly chance.
_STABILITY_EVERY = 10
_SMALLEST_TOLERANCE = {"defect_probability": 0.02}

State = Literal["no reference", "too few photos", "steady", "drifting"]
Statistic = Literal["ewma", "stability", "rejects"]


class Level(NamedTuple):
    """One statistic: where it is, and the limit at which it alarms; `reading` is empty for rejects."""

    statistic: Statistic
    reading: str
    value: float
    limit: float

    @property
    def ratio(self) -> float:
        """The value as a share of its limit, >= 0; 1 and more alarms."""
        return abs(self.value) / self.limit


@dataclass(frozen=True)
class CameraStatus:
    """How the photos of one camera compare with the calibration photos.

    Attributes:
        photos: how many have been observed.
        levels: every statistic that is watched.
        alarms: those at or above their limits, or not yet well below them again.
        since: when the state was last changed.
    """

    camera: str
    state: State
    photos: int
    since: datetime
    levels: tuple[Level, ...]
    alarms: tuple[Level, ...]


class DriftMonitor:
    """Watches the photos of one part, each camera for itself. Safe to call from several threads."""

    def __init__(
        self,
        reference: Mapping[str, Sequence[float]],
        *,
        calibration_rejects: int = 0,
        usual_reject_rate: float = 0.05,
    ) -> None:
        """
        Args:
            reference: by reading, its value on each clean calibration photo. A reading with fewer than
                `FEWEST_PHOTOS` finite values is not watched.
            calibration_rejects: how many of those photos the limits reject.
            usual_reject_rate: the share of rejects, 0..1, that the line is known to bring.
        """
        finite = {name: [v for v in values if math.isfinite(v)] for name, values in reference.items()}
        self._references = {
            name: Reference(values, _SMALLEST_TOLERANCE.get(name, 0.0))
            for name, values in finite.items()
            if len(values) >= FEWEST_PHOTOS
        }
        photos = max((each.size for each in self._references.values()), default=0)
        rate = max(usual_reject_rate, highest_rate(calibration_rejects, photos)) if photos else 1.0
        self._reject_limit = most_rejects(WINDOW, rate, REJECT_ALPHA) if rate < 1.0 else WINDOW + 1
        self._cameras: dict[str, _Camera] = {}
        self._lock = threading.Lock()

    @property
    def has_reference(self) -> bool:
        """Whether there is anything to compare with."""
        return bool(self._references)

    def observe(self, camera: str, readings: Mapping[str, float], rejected: bool) -> CameraStatus | None:
        """Take one photo in; return the camera's status if its alarms have changed.

        Args:
            camera: its name, one of few: each keeps a window of its own.
            readings: by name; those without a reference or not finite are left out.
            rejected: the verdict was not `clean`.
        """
        if not self._references:
            return None
        with self._lock:
            if camera not in self._cameras:
                self._cameras[camera] = _Camera(camera, self._references, self._reject_limit)
            known = self._cameras[camera]
            return known.status() if known.observe(readings, rejected) else None

    def status(self) -> list[CameraStatus]:
        """The status of every camera that has sent a photo, by name."""
        with self._lock:
            return [camera.status() for _, camera in sorted(self._cameras.items())]


class _Camera:
    """The statistics of one camera."""

    def __init__(self, name: str, references: Mapping[str, Reference], reject_limit: int) -> None:
        self._name = name
        self._tracks = {reading: _Track(reading, reference) for reading, reference in references.items()}
        self._rejects: deque[bool] = deque(maxlen=WINDOW)
        self._reject_limit = reject_limit
        self._photos = 0
        self._alarms: frozenset[tuple[Statistic, str]] = frozenset()
        self._since = datetime.now(UTC)

    def observe(self, readings: Mapping[str, float], rejected: bool) -> bool:
        """Take one photo in; whether that changed an alarm."""
        self._photos += 1
        self._rejects.append(rejected)
        for reading, track in self._tracks.items():
            value = readings.get(reading)
            if value is not None and math.isfinite(value):
                track.observe(value)
        before, warming = self._alarms, self._photos == FEWEST_PHOTOS
        self._alarms = frozenset(
            (level.statistic, level.reading)
            for level in self._levels()
            if level.ratio >= (_RELEASE if (level.statistic, level.reading) in before else 1.0)
        )
        if warming or bool(self._alarms) != bool(before):
            self._since = datetime.now(UTC)
        return self._alarms != before

    def status(self) -> CameraStatus:
        levels = tuple(self._levels())
        alarms = tuple(level for level in levels if (level.statistic, level.reading) in self._alarms)
        state: State = "drifting" if alarms else "steady"
        if not alarms and self._photos < FEWEST_PHOTOS:
            state = "too few photos"
        return CameraStatus(self._name, state, self._photos, self._since, levels, alarms)

    def _levels(self) -> list[Level]:
        levels = [level for track in self._tracks.values() for level in track.levels()]
        return [*levels, Level("rejects", "", float(sum(self._rejects)), float(self._reject_limit))]


class _Track:
    """One reading of one camera."""

    def __init__(self, reading: str, reference: Reference) -> None:
        self._reading = reading
        self._reference = reference
        self._limit = max(LEAST_SHIFT, CONTROL * math.sqrt(LAMBDA / (2.0 - LAMBDA) + 1.0 / reference.size))
        self._ewma = 0.0
        self._stability = 0.0
        self._observed = 0
        self._bins: deque[int] = deque(maxlen=WINDOW)
        self._counts: Counter[int] = Counter()

    def observe(self, value: float) -> None:
        self._ewma += LAMBDA * (self._reference.normal_score(value) - self._ewma)
        if len(self._bins) == WINDOW:
            self._counts[self._bins[0]] -= 1
        self._bins.append(self._reference.bin_of(value))
        self._counts[self._bins[-1]] += 1
        self._observed += 1
        if self._observed >= WINDOW and self._observed % _STABILITY_EVERY == 0:
            shares = self._reference.bin_shares
            counts = [self._counts[number] for number in range(len(shares))]
            self._stability = stability_index(counts, shares)

    def levels(self) -> tuple[Level, Level]:
        return (
            Level("ewma", self._reading, self._ewma, self._limit),
            Level("stability", self._reading, self._stability, STABILITY_LIMIT),
        )
