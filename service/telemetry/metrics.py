"""What is counted while requests are answered, for Prometheus. Every label has few values."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.process_collector import ProcessCollector

from models.answer import Inspection
from service.telemetry.names import OTHER, BoundedNames
from service.telemetry.record import RequestRecord

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SCORES = tuple(step / 20 for step in range(1, 21))


# The problems that raise an alarm (docker/prometheus/rules.yml).
ALARMING = (
    "inference_failed",
    "untrustworthy_outputs",
    "internal",
    "not_recorded",
    "worker_died",
    "deadline_missed",
    "quality_gate",
    "queue_full",
    "queue_too_long",
)


class Metrics:
    """The counters and histograms of one application, in a registry of its own."""

    def __init__(self, cameras: BoundedNames, parts: Callable[[], Sequence[str]]) -> None:
        """`parts` gives the names of the parts of which there is a bundle; any other is `other`."""
        self.registry = CollectorRegistry()
        self._cameras = cameras
        self._parts = parts
        self._requests = Counter(
            "glint_requests",
            "Requests answered; status 499: the client left first.",
            ("route", "part", "camera", "verdict", "status"),
            registry=self.registry,
        )
        self._problems = Counter(
            "glint_problems",
            "Requests without a result, by reason.",
            ("code", "part"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "glint_request_seconds",
            "Time from a request's arrival to the end of its answer.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._stages = Histogram(
            "glint_stage_seconds",
            "Time an inspection spent in a stage.",
            ("stage",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._scores = Histogram(
            "glint_score",
            "Scores of inspections; 0.5 is the limit.",
            ("part",),
            buckets=SCORES,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)

    def begin_counting(self) -> None:
        """Show the problems that raise an alarm as 0 before the first: what begins at 1 never rose."""
        for part in ("", OTHER, *self._parts()):
            for code in ALARMING:
                self._problems.labels(code, part)

    def answered(self, record: RequestRecord) -> None:
        """Count a request."""
        part = self._part_of(record)
        camera = self._cameras.known(record.camera)
        self._requests.labels(record.route, part, camera, record.verdict, record.status).inc()
        self._seconds.labels(record.route).observe(record.seconds)
        if record.code:
            self._problems.labels(record.code, part).inc()

    def inspected(self, inspection: Inspection) -> None:
        """Count an inspection: where its time went, and its score."""
        for stage, ms in inspection.timings_ms.items():
            self._stages.labels(stage).observe(1e-3 * ms)
        if inspection.score is not None:
            self._scores.labels(inspection.part).observe(inspection.score)

    def _part_of(self, record: RequestRecord) -> str:
        if record.inspection is not None:
            return record.inspection.part
        if not record.verdict:
            return ""
        parts = self._parts()
        if record.part is None:
            return parts[0] if len(parts) == 1 else ""
        return record.part if record.part in parts else OTHER
