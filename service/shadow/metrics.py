"""Shadow runs as Prometheus sees them."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.shadow.shadows import Shadows

_COUNTERS = {
    "judged": "Photos that a candidate judged beside the active bundle.",
    "flipped": "Of these, parts that would have gone another way.",
    "dropped": "Photos that no candidate had the time for.",
    "faults": "Photos that a candidate failed on, and candidates that were lost.",
}


class ShadowCollector(Collector):
    """Reads the counts at the moment it is asked."""

    def __init__(self, shadows: Shadows) -> None:
        self._shadows = shadows

    def describe(self) -> list[Metric]:
        """Nothing: what there is depends on what runs."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every metric of shadow runs."""
        counts = self._shadows.counts()
        for name, text in _COUNTERS.items():
            family = CounterMetricFamily(f"glint_shadow_{name}", text, labels=["part"])
            for part, counted in counts.items():
                family.add_metric([part], float(getattr(counted, name)))
            yield family
        running = GaugeMetricFamily(
            "glint_shadow_running", "Whether the candidate still judges.", labels=["part", "version"]
        )
        for status in self._shadows.all():
            running.add_metric([status.part, status.version], float(status.state == "running"))
        yield running
