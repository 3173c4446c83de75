"""Keeps a drift monitor for every bundle that is served, and says in words what it sees."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from models.answer import Inspection
from models.decision import CLEAN, Limits
from models.manifest import CalibrationReference, Manifest
from models.quality import ReadingName
from service.telemetry.drift import CameraStatus, DriftMonitor, Level, State, Statistic
from service.telemetry.names import BoundedNames

log = logging.getLogger(__name__)

IMAGE_STATISTICS: tuple[ReadingName, ...] = ("brightness", "contrast", "sharpness")
_SERIOUSNESS: tuple[State, ...] = ("too few photos", "steady", "drifting")
_REMEDIES = {
    "brightness": "Check the lamp, the exposure time and stray light.",
    "contrast": "Check the lamp, reflections and dirt on the lens.",
    "sharpness": "Check the focus, the distance to the part and dirt on the lens.",
    "anomaly_score": "Look at recent heatmaps: if the parts are good, train a new bundle with them.",
    "defect_probability": "Look at recent photos: if the parts are good, train a new bundle with them.",
    "": "Look at the rejected parts: if they are bad, look upstream; if they are good, train a new bundle.",
}


class DriftLevel(BaseModel):
    """One statistic and its limit; it alarms at `limit` or more, on either side of 0."""

    model_config = ConfigDict(frozen=True)

    statistic: Statistic = Field(
        description="`ewma`: the level; `stability`: the population stability index; `rejects`: the last 200."
    )
    reading: str = Field(description="What is read off the photos; empty for rejects.")
    value: float
    limit: float


class CameraDrift(BaseModel):
    """How the photos of one camera compare with the calibration photos."""

    model_config = ConfigDict(frozen=True)

    camera: str = Field(description="`other` beyond the first `GLINT_MAX_CAMERAS`; empty if none is named.")
    state: State
    since: datetime = Field(description="When the state was last changed.")
    photos: int
    levels: list[DriftLevel]
    alarms: list[DriftLevel] = Field(description="The statistics beyond their limits.")
    what_to_do: str


class PartDrift(BaseModel):
    """Whether the photos of a part still look like those that its model was calibrated on."""

    model_config = ConfigDict(frozen=True)

    state: State = Field(description="The most serious one of its cameras.")
    cameras: list[CameraDrift]


class DriftWatch:
    """The drift of every part that is served. Safe to call from several threads."""

    def __init__(
        self,
        manifests: Callable[[], Mapping[str, Manifest]],
        cameras: BoundedNames,
        usual_reject_rate: float,
    ) -> None:
        """`manifests` gives those of the bundles that are served, by part."""
        self._manifests = manifests
        self._cameras = cameras
        self._usual_reject_rate = usual_reject_rate
        self._monitors: dict[str, tuple[Manifest, DriftMonitor]] = {}
        self._lock = threading.Lock()

    def inspected(self, inspection: Inspection) -> None:
        """Take the readings of one photo in; log it if an alarm comes or goes."""
        manifest = self._manifests().get(inspection.part)
        if manifest is None or manifest.version != inspection.bundle_version:
            return  # The last photos of a bundle that has been replaced.
        monitor = self._monitor_of(manifest)
        camera = self._cameras.learn(inspection.camera)
        changed = monitor.observe(camera, readings_of(inspection), inspection.verdict != CLEAN)
        if changed is not None:
            _log_change(inspection.part, changed)

    def of_parts(self) -> dict[str, PartDrift]:
        """The drift of every part that is served."""
        return {part: self._of(manifest) for part, manifest in self._manifests().items()}

    def _of(self, manifest: Manifest) -> PartDrift:
        monitor = self._monitor_of(manifest)
        if not monitor.has_reference:
            return PartDrift(state="no reference", cameras=[])
        cameras = [_in_words(status) for status in monitor.status()]
        states: list[State] = [camera.state for camera in cameras]
        worst = max(states, key=_SERIOUSNESS.index, default=_SERIOUSNESS[0])
        return PartDrift(state=worst, cameras=cameras)

    def _monitor_of(self, manifest: Manifest) -> DriftMonitor:
        with self._lock:
            watched, monitor = self._monitors.get(manifest.part, (None, None))
            if watched is not manifest or monitor is None:
                monitor = monitor_of(manifest.calibration, manifest.limits, self._usual_reject_rate)
                self._monitors[manifest.part] = (manifest, monitor)
            return monitor


def readings_of(inspection: Inspection) -> dict[str, float]:
    """Every number that is read off the photo, by name."""
    readings: dict[str, float] = {reading.name: reading.value for reading in inspection.quality}
    if inspection.anomaly.score is not None:
        readings["anomaly_score"] = inspection.anomaly.score
    if inspection.classifier.defect_probability is not None:
        readings["defect_probability"] = inspection.classifier.defect_probability
    return readings


def monitor_of(
    calibration: CalibrationReference | None, limits: Limits, usual_reject_rate: float
) -> DriftMonitor:
    """The monitor for a bundle with these calibration photos; without them it watches nothing."""
    if calibration is None:
        return DriftMonitor({})
    scores = calibration.anomaly_scores
    probabilities = calibration.defect_probabilities
    reference: dict[str, Sequence[float]] = {"anomaly_score": scores}
    reference |= {
        name: calibration.readings[name] for name in IMAGE_STATISTICS if name in calibration.readings
    }
    rejected = [score >= limits.anomaly for score in scores]
    if probabilities is not None and limits.classifier is not None:
        reference["defect_probability"] = probabilities
        by_classifier = [probability >= limits.classifier for probability in probabilities]
        rejected = [either or other for either, other in zip(rejected, by_classifier, strict=True)]
    return DriftMonitor(reference, calibration_rejects=sum(rejected), usual_reject_rate=usual_reject_rate)


def _log_change(part: str, status: CameraStatus) -> None:
    fields = {
        "event": "drift",
        "part": part,
        "camera": status.camera,
        "state": status.state,
        "alarms": [f"{level.statistic} {level.reading}".strip() for level in status.alarms],
    }
    whose = f"part {part}, camera {status.camera or '(not named)'}"
    if status.alarms:
        log.warning("Drift, %s: %s %s", whose, _describe(status.alarms), _advice(status), extra=fields)
    else:
        log.info("The drift of %s is over.", whose, extra=fields)


def _describe(alarms: Sequence[Level]) -> str:
    named = [f"{a.statistic} of {a.reading}" if a.reading else a.statistic for a in alarms]
    values = [f"{name} {a.value:.2f} (limit {a.limit:.2f})" for name, a in zip(named, alarms, strict=True)]
    return f"{', '.join(values)}."


def _in_words(status: CameraStatus) -> CameraDrift:
    return CameraDrift(
        camera=status.camera,
        state=status.state,
        since=status.since,
        photos=status.photos,
        levels=[_level(level) for level in status.levels],
        alarms=[_level(level) for level in status.alarms],
        what_to_do=_advice(status),
    )


def _level(level: Level) -> DriftLevel:
    return DriftLevel(
        statistic=level.statistic,
        reading=level.reading,
        value=round(level.value, 4),
        limit=round(level.limit, 4),
    )


def _advice(status: CameraStatus) -> str:
    # In the order of the causes: whoever mends the lamp mends the scores as well.
    alarming = {level.reading for level in status.alarms}
    return next((remedy for reading, remedy in _REMEDIES.items() if reading in alarming), "")
