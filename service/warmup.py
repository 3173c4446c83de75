"""`glint warmup`: what the first start would do, done ahead, with its timings."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from models.bundle import survey_bundles
from models.errors import BundleError, GlintError
from models.inspector import Inspector
from service.batching import buckets_for
from service.settings import Settings
from service.versions import Choices, bundle_to_serve, parts_to_serve

_TIMED_RUNS = 5
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Warmed:
    """One part: how long its bundle took to open and each batch size to warm up, and what a batch takes then.

    Attributes:
        open_s: from the files to the session, in seconds.
        warm_up_s: of each batch size, in seconds; on a GPU, the search for algorithms and the capture.
        run_ms: of each batch size, the median of five runs, in milliseconds.
        golden: how many golden photos gave their recorded results.
    """

    part: str
    version: str
    provider: str
    fallback: str
    open_s: float
    warm_up_s: dict[int, float]
    run_ms: dict[int, float]
    golden: int


@dataclass(frozen=True)
class Failed:
    """A part that cannot be served on this machine as it is, and why."""

    part: str
    reason: str


def warm_up_bundles(settings: Settings) -> Iterator[Warmed | Failed]:
    """Open what would be served of each part, and its newest bundle, run every batch size and golden photo.

    Builds TensorRT's engines, if it is asked for and they are missing.

    Raises:
        BundleError: when there is no bundle at all.
        SettingsError: when it cannot be read which bundles were activated.
    """
    found = survey_bundles(settings.bundles)
    active = Choices(settings.state).read()
    to_serve, failures = parts_to_serve(found, active)
    for part, failure in failures.items():
        yield Failed(part, str(failure))
    for part, newest in to_serve.items():
        paths = [newest] if part in found.paths else []
        try:
            paths.append(bundle_to_serve(part, newest, active.get(part)))
        except BundleError as error:
            yield Failed(part, str(error))
        for path in dict.fromkeys(paths):
            try:
                yield warm_up_bundle(path, settings)
            except Exception as error:
                # ONNX Runtime's own exceptions, for one: they must not keep the other parts from their turn.
                yield Failed(part, str(error) if isinstance(error, GlintError) else f"{path}: {error!r}")


def warm_up_bundle(path: Path, settings: Settings) -> Warmed:
    """Open one bundle, run every batch size and the golden photos.

    Raises:
        BundleError: when it cannot be trusted, or gives other results than when it was made.
        DeviceError: when the device is `cuda` and cannot run it, or engines are to be built and cannot be.
        PrecisionError: when a precision was asked for that the bundle has not.
    """
    cuda = settings.cuda(build_engines=True)
    # On the CPU there would be no engines, and nothing would say so.
    device = "cuda" if settings.tensorrt else settings.device
    open_s, inspector = _timed(
        lambda: Inspector.load(path, device, settings.threads, cuda=cuda, precision=settings.precision)
    )
    engines = inspector.engines
    try:
        warmed = _run_all(path, inspector, open_s)
        if engines and not engines.finished:
            engines.finish()
    except BaseException:
        if engines:
            engines.discard()
        raise
    return warmed


def _run_all(path: Path, inspector: Inspector, open_s: float) -> Warmed:
    buckets = buckets_for(inspector.provider)
    warm_up_s = {size: _timed(partial(inspector.warm_up, size))[0] for size in _ends_first(buckets)}
    run_ms = {size: _run_ms(inspector, size) for size in buckets}
    if differences := inspector.check_golden():
        raise BundleError(
            f"{path}: golden photos differ: {'; '.join(differences)}.",
            "Check the bundle with `glint verify`, or train it again.",
        )
    return Warmed(
        part=inspector.manifest.part,
        version=inspector.manifest.version,
        provider=inspector.provider,
        fallback=inspector.provider_fallback,
        open_s=open_s,
        warm_up_s=warm_up_s,
        run_ms=run_ms,
        golden=len(inspector.bundle.golden_results()),
    )


def _ends_first(buckets: tuple[int, ...]) -> list[int]:
    """The smallest and the largest go first: TensorRT builds anew for a size beyond those it knows."""
    return list(dict.fromkeys([buckets[0], buckets[-1], *buckets]))


def _run_ms(inspector: Inspector, size: int) -> float:
    place = inspector.manifest.preprocessing
    photos = np.zeros((size, place.height, place.width, 3), dtype=np.uint8)
    return 1e3 * statistics.median(_timed(lambda: inspector.run(photos))[0] for _ in range(_TIMED_RUNS))


def _timed(work: Callable[[], _Result]) -> tuple[float, _Result]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result
