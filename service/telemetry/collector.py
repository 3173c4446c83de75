"""What is read off the service whenever Prometheus asks: readiness, queues, canaries, archive, drift."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from service.archive.status import ArchiveStatus
from service.registry import Registry
from service.status import Readiness
from service.telemetry.drift_watch import DriftWatch

ArchiveSource = Callable[[], ArchiveStatus]


class StateCollector(Collector):
    """Reads the service's state at the moment it is asked."""

    def __init__(
        self,
        registry: Registry,
        drift: DriftWatch,
        readiness: Callable[[], Readiness],
        archive: ArchiveSource | None,
    ) -> None:
        """`readiness` gives what `/readyz` says, `archive` the archive's state; None: there is no archive."""
        self._registry = registry
        self._ready = readiness
        self._drift = drift
        self._archive_state = archive

    def describe(self) -> list[Metric]:
        """Nothing: what there is depends on what is loaded."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every metric of the service's state."""
        yield from self._readiness()
        yield from self._workers()
        yield from self._canaries()
        yield from self._archive()
        yield from self._drifts()

    def _readiness(self) -> Iterator[Metric]:
        readiness = self._ready()
        yield _gauge("glint_ready", "Whether photos of every part can be inspected.", float(readiness.ready))
        ready = GaugeMetricFamily(
            "glint_part_ready", "Whether the part's bundle is loaded and proved.", labels=["part"]
        )
        info = GaugeMetricFamily(
            "glint_provider_info",
            "The bundle that decides and the execution provider that really runs it; always 1.",
            labels=["part", "version", "provider"],
        )
        for part, status in sorted(readiness.parts.items()):
            ready.add_metric([part], float(status.state == "ready"))
            if status.provider is not None:
                info.add_metric([part, status.version or "", status.provider], 1.0)
        yield ready
        yield info

    def _workers(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("glint_queue_depth", "Photos waiting for the device.", labels=["provider"])
        busy = GaugeMetricFamily(
            "glint_batch_running_seconds",
            "For how long the present batch has run; 0 when idle.",
            labels=["provider"],
        )
        sizes = HistogramMetricFamily("glint_batch_size", "Photos in a batch.", labels=["provider"])
        for provider, batcher in sorted(self._registry.workers.items()):
            depth.add_metric([provider], batcher.waiting)
            busy.add_metric([provider], batcher.busy_seconds())
            sizes.add_metric([provider], *_histogram(batcher.batch_sizes, batcher.buckets))
        yield depth
        yield busy
        yield sizes

    def _canaries(self) -> Iterator[Metric]:
        passing = GaugeMetricFamily(
            "glint_canary_passing",
            "Whether the golden photos last gave their recorded results.",
            labels=["part"],
        )
        for part, loaded in sorted(self._registry.loaded.items()):
            passing.add_metric([part], float(not loaded.canary.failure))
        yield passing

    def _archive(self) -> Iterator[Metric]:
        if self._archive_state is None:
            return
        archive = self._archive_state()
        yield _gauge("glint_archive_waiting", "Records not yet written.", archive.waiting)
        yield _gauge(
            "glint_archive_oldest_seconds",
            "For how long the first of them has waited.",
            archive.oldest_seconds,
        )
        if archive.free_bytes is not None:
            yield _gauge("glint_archive_free_bytes", "Free space where photos are kept.", archive.free_bytes)
        yield _gauge("glint_archive_low_water", "Whether the space runs out.", float(archive.low_water))
        yield _gauge("glint_archive_failing", "Whether nothing can be written.", float(bool(archive.failure)))
        yield CounterMetricFamily("glint_archive_written", "Records written.", value=archive.written)

    def _drifts(self) -> Iterator[Metric]:
        has_reference = GaugeMetricFamily(
            "glint_drift_reference", "Whether the bundle has readings to compare with.", labels=["part"]
        )
        drifting = GaugeMetricFamily(
            "glint_drift",
            "Whether the photos are unlike the calibration photos.",
            labels=["part", "camera"],
        )
        ratio = GaugeMetricFamily(
            "glint_drift_ratio",
            "A drift statistic as a share of its limit; 1 and more alarms.",
            labels=["part", "camera", "statistic", "reading"],
        )
        for part, drift in sorted(self._drift.of_parts().items()):
            has_reference.add_metric([part], float(drift.state != "no reference"))
            for camera in drift.cameras:
                drifting.add_metric([part, camera.camera], float(camera.state == "drifting"))
                for level in camera.levels:
                    labels = [part, camera.camera, level.statistic, level.reading]
                    ratio.add_metric(labels, abs(level.value) / level.limit)
        yield has_reference
        yield drifting
        yield ratio


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _histogram(counts: Mapping[int, int], sizes: tuple[int, ...]) -> tuple[list[tuple[str, float]], float]:
    """Cumulative counts per upper bound, and the sum of all values."""
    seen = Counter(counts)
    bounds = [(str(float(size)), float(sum(n for v, n in seen.items() if v <= size))) for size in sizes]
    return [*bounds, ("+Inf", float(seen.total()))], float(sum(value * n for value, n in seen.items()))
