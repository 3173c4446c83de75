"""Everything that is seen of one application from outside, put together."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry

from models.answer import Inspection
from models.manifest import Manifest
from service.registry import Registry
from service.settings import Settings
from service.status import Readiness
from service.telemetry.collector import ArchiveSource, StateCollector
from service.telemetry.drift_watch import DriftWatch
from service.telemetry.logs import log_request
from service.telemetry.metrics import Metrics
from service.telemetry.names import BoundedNames
from service.telemetry.record import Listener
from service.telemetry.traces import open_traces


class Telemetry:
    """The metrics, drift and traces of one application."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        environment: Mapping[str, str],
        readiness: Callable[[], Readiness],
        archive: ArchiveSource | None = None,
    ) -> None:
        """
        Args:
            environment: holds the OTEL_ variables.
            readiness: gives what `/readyz` says.
            archive: gives the archive's state, if there is one.
        """

        def manifests() -> dict[str, Manifest]:
            return {part: loaded.inspector.manifest for part, loaded in registry.loaded.items()}

        self.cameras = BoundedNames(settings.max_cameras)
        self.drift = DriftWatch(manifests, self.cameras, settings.usual_reject_rate)
        self.metrics = Metrics(self.cameras, lambda: registry.part_names)
        self.metrics.registry.register(StateCollector(registry, self.drift, readiness, archive))
        self._traces = open_traces(environment)

    @property
    def listeners(self) -> list[Listener]:
        """What is told of every request that was answered."""
        traces = [self._traces.answered] if self._traces else []
        return [self.metrics.answered, log_request, *traces]

    def scraped(self) -> CollectorRegistry:
        """What Prometheus is to see now."""
        self.metrics.begin_counting()
        return self.metrics.registry

    def inspected(self, inspection: Inspection) -> None:
        """Take an inspection in before its request is answered."""
        self.drift.inspected(inspection)
        self.metrics.inspected(inspection)

    def close(self) -> None:
        """Send what has not been sent."""
        if self._traces:
            self._traces.close()
