"""What metrics, drift and a log line cost beside the inspection that they tell of.

    python -m tests.benchmarks.telemetry_cost [--bundle BUNDLE --photo PHOTO]

Prints microseconds of one thread per request, and their share of an inspection by the given bundle.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from models.inspector import Inspector
from service.registry import Registry
from service.settings import Settings
from service.telemetry.record import RequestRecord
from service.telemetry.telemetry import Telemetry
from tests.calibration import calibrate
from tests.tiny_bundle import clean_photo, encode, make_tiny_bundle

REQUESTS = 100
ROUNDS = 10


def best_of(rounds: int, work: Callable[[], object], clock: Callable[[], float]) -> float:
    """Seconds of the fastest round."""
    times = []
    for _ in range(rounds):
        begun = clock()
        work()
        times.append(clock() - begun)
    return min(times)


def main() -> None:
    """Measure both in one run."""
    parser = argparse.ArgumentParser(description="Cost of metrics, drift and logs per request.")
    parser.add_argument(
        "--bundle", type=Path, help="a bundle to set it against; the tiny one of the tests if none"
    )
    parser.add_argument("--photo", type=Path, help="a photo for it")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        tiny = make_tiny_bundle(Path(folder))
        calibrate(tiny, [encode(clean_photo(seed=seed)) for seed in range(30)])
        bundle = asked.bundle or tiny
        photo = asked.photo.read_bytes() if asked.photo else encode(clean_photo())
        settings = Settings.of(bundles=bundle, device="cpu", threads=1)
        registry = Registry(settings, lambda error: None)
        registry.load()
        telemetry = Telemetry(settings, registry, {}, registry.readiness)
        inspector = Inspector.load(bundle, "cpu", threads=1)
        inspection = inspector.inspect(photo)[0].model_copy(update={"camera": "left"})
        part = inspection.part
        record = RequestRecord(
            "id", "POST", "/inspect", 200, "", "clean", part, "left", 0.05, 1.8e9, "", "", inspection
        )

        def tell() -> None:
            for _ in range(REQUESTS):
                telemetry.inspected(inspection)
                for listener in telemetry.listeners:
                    listener(record)

        told = best_of(ROUNDS, tell, time.thread_time) / REQUESTS
        inspected = best_of(ROUNDS, lambda: inspector.inspect(photo), time.perf_counter)
        registry.close(5.0)
    print(f"metrics, drift and a log line: {1e6 * told:.0f} us a request")
    print(f"an inspection: {1e3 * inspected:.2f} ms; share: {told / inspected:.2%}")


if __name__ == "__main__":
    main()
