"""The measurements of `glint bench`, one after another."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import onnxruntime
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from models.inspector import Inspector
from models.machine import describe_machine
from models.session import Device
from service.batching import buckets_for, lanes_for
from service.bench.client import encode_post, run_load
from service.bench.errors import BenchError
from service.bench.measures import BenchResult, Level, RawRun, level_of
from service.bench.own_service import OwnService, bench_settings, own_service, users_settings
from service.bench.photos import Album, golden_album, read_album
from service.bench.raw import run_raw, tensors_of
from service.console import find_one

_LONGEST_WARM_UP = 1.0
# A service answers until the deadline; what takes this much longer is not coming.
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Plan:
    """What to measure: `seconds` at each number of clients, with photos of a folder or the golden ones.

    Without a device or a deadline, those of the environment are taken.
    """

    bundle: Path
    clients: tuple[int, ...]
    seconds: float
    device: Device | None = None
    photos: Path | None = None
    deadline_ms: int | None = None


class _Steps:
    """Shows which measurement runs, at a pace that costs the measurement nothing."""

    def __init__(self, progress: Progress, count: int) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task("", total=count)

    def begin(self, what: str) -> None:
        self._progress.update(self._task, description=what)

    def done(self) -> None:
        self._progress.advance(self._task)


def run_bench(plan: Plan, console: Console) -> BenchResult:
    """Measure the graph alone, then a service of its own; says on `console` how far it is.

    Raises:
        BundleError, DeviceError: when the bundle or the device cannot be used.
        UsageError, OSError: when there are no photos, or they cannot be read.
        SettingsError: when a setting in the environment cannot be used.
        BenchError: when the service under measurement fails.
    """
    bundle = find_one(plan.bundle)
    settings = bench_settings(bundle, plan.device, plan.deadline_ms)
    inspector = Inspector.load(
        bundle, settings.device, settings.threads, cuda=settings.cuda(), precision=settings.precision
    )
    album = read_album(plan.photos) if plan.photos else golden_album(inspector.bundle)
    batches = buckets_for(inspector.provider)
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, refresh_per_second=1) as progress:
        steps = _Steps(progress, len(batches) + 1 + len(plan.clients))
        # On a CPU the service runs as many batches side by side; compared with one, it would look too fast.
        lanes = lanes_for(inspector.provider, settings.threads)
        raw = _run_raw(inspector, album, batches, lanes, plan.seconds, steps)
        manifest, provider, precision = inspector.manifest, inspector.provider, inspector.variant.precision
        del inspector  # The service needs the memory.
        steps.begin("starting a service")
        with own_service(settings) as service:
            if service.provider != provider:
                raise BenchError(
                    f"The graph ran on {provider} here, but on {service.provider} in the service.",
                    "Name the device with --device.",
                )
            steps.done()
            levels = _run_http(service, album, plan, settings.deadline_ms, steps)
    return BenchResult(
        machine=describe_machine(),
        libraries={"glint": version("glint-inspection"), "onnxruntime": onnxruntime.__version__},
        part=manifest.part,
        bundle_version=manifest.version,
        provider=provider,
        precision=precision,
        photos=album.description,
        seconds=plan.seconds,
        deadline_ms=settings.deadline_ms,
        settings=users_settings(settings),
        raw=raw,
        http=levels,
    )


def _run_raw(
    inspector: Inspector, album: Album, batches: Sequence[int], lanes: int, seconds: float, steps: _Steps
) -> list[RawRun]:
    tensors = tensors_of(inspector, album.photos)
    runs = []
    for batch in batches:
        steps.begin(f"raw session, batch {batch}")
        runs.append(run_raw(inspector, tensors, batch, lanes, seconds))
        steps.done()
    return runs


def _run_http(service: OwnService, album: Album, plan: Plan, deadline_ms: int, steps: _Steps) -> list[Level]:
    headers = {"Content-Type": "application/octet-stream", "X-Deadline-Ms": str(deadline_ms)}
    posts = [encode_post("/inspect", photo, headers) for photo in album.photos]
    patience = deadline_ms / 1e3 + _PATIENCE_SECONDS
    levels = []
    for clients in plan.clients:
        steps.begin(f"HTTP, {clients} client{'s' if clients > 1 else ''}")
        try:
            run_load(service.port, posts, clients, min(_LONGEST_WARM_UP, plan.seconds), patience)
            load = run_load(service.port, posts, clients, plan.seconds, patience)
        except TimeoutError as error:
            raise BenchError(
                f"The service did not answer {clients} clients within {patience:g} s.",
                "Start it with `glint serve` and look at /readyz.",
            ) from error
        service.check()
        levels.append(level_of(load, deadline_ms))
        steps.done()
    return levels
