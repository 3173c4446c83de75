"""What a GPU makes of a bundle: latency, photos a second, agreement with the CPU, and the whole service.

.venv/bin/python -m tests.benchmarks.gpu --bundle bundles/bracket/<version> [--photos FOLDER] [--write]

The graph's forms (fp16 and fp32, captured as CUDA graphs or not) run in turn, A B A B, each batch through the
memory that the service uses, from the decoded photos to the outputs in plain memory. Then a service of its
own answers 1080p JPEGs from client processes on the same cores. Refuses to run without a GPU; --dry-run goes
through all of it on the CPU, with tiny counts, and writes nothing.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import onnx

from models.bundle import Bundle
from models.cores import usable_cores
from models.cuda.driver import Driver, driver_library
from models.cuda.memory import CpuMemory
from models.cuda.options import CudaSettings
from models.cuda.runs import FixedRuns
from models.decision import INVALID
from models.errors import DeviceError, ExportError
from models.inspector import OUTPUTS, Inspector
from models.photo import decode_photo
from models.session import OpenSession, open_session
from tests.benchmarks.gpu_load import Posted, post_for
from tests.benchmarks.gpu_tables import (
    BUCKETS,
    PATHS,
    Agreement,
    Form,
    graph_text,
    head_text,
    service_text,
)
from tests.benchmarks.report import write_section
from tests.service.live import serving
from tests.tiny_bundle import encode, make_tiny_bundle
from training.rendering.defects import add_scratch
from training.rendering.demo import render_photo
from training.variants.half_graph import half_graph

FULL_HD = (1080, 1920)
SUFFIXES = (".jpg", ".jpeg")


@dataclass(frozen=True)
class Amount:
    """How much is measured."""

    latency_runs: int
    rounds: int
    runs: int
    photos: int
    seconds: float
    processes: int
    clients: int


MUCH = Amount(latency_runs=2000, rounds=10, runs=40, photos=24, seconds=20.0, processes=8, clients=16)
LITTLE = Amount(latency_runs=5, rounds=2, runs=1, photos=2, seconds=0.5, processes=1, clients=2)


def main() -> None:
    given = arguments()
    gpu = "no GPU, a dry run" if given.dry_run else gpu_name()
    amount = LITTLE if given.dry_run else MUCH
    with tempfile.TemporaryDirectory() as folder:
        bundle = given.bundle or make_tiny_bundle(Path(folder))
        photos = given_photos(given.photos, amount.photos)
        with half_form(Bundle.open(bundle), Path(folder)) as half:
            forms = open_forms(bundle, half, dry=given.dry_run)
            latencies = latency(forms, amount)
            rates = throughput(forms, amount)
            agreements = {form.name: agreement(bundle, form, photos) for form in forms}
            text = graph_text(forms, gpu, latencies, rates, agreements)
        served = Inspector.load(bundle, "cpu" if given.dry_run else "cuda").variant.file
        posted = load(bundle, photos, amount, dry=given.dry_run)
    text = "\n\n".join(
        [
            head_text(gpu, forms[0].inspector),
            text,
            service_text(posted, decode_photo(photos[0]), f"`{served}`"),
        ]
    )
    print(text)
    if given.write and not given.dry_run:
        write_section("performance.md", "gpu", text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a GPU makes of a bundle.")
    parser.add_argument("--bundle", type=Path, help="The bundle to run.")
    parser.add_argument(
        "--photos", type=Path, help="Folder of JPEGs; rendered ones of 1920 x 1080 without it."
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="Go through all of it on the CPU; write nothing."
    )
    parser.add_argument("--write", action="store_true", help="Write the tables into docs/performance.md.")
    given = parser.parse_args()
    if given.bundle is None and not given.dry_run:
        parser.error("name a bundle with --bundle, or use --dry-run")
    return given


def gpu_name() -> str:
    """Ends the program where there is no GPU: figures of a CPU must not be taken for its."""
    try:
        return Driver(driver_library()).gpu_name
    except DeviceError as error:
        raise SystemExit(f"Nothing was measured. {error} Or try --dry-run.") from None


def given_photos(folder: Path | None, count: int) -> list[bytes]:
    """JPEGs of the folder, or rendered brackets, half of them scratched, the same every time."""
    if folder is not None:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not files:
            raise SystemExit(f"Nothing was measured. {folder} holds no JPEG.")
        return [path.read_bytes() for path in files[:count]]
    return [
        encode(
            render_photo(FULL_HD, add_scratch if n % 2 else None, np.random.default_rng((0, n)))[0], ".jpg"
        )
        for n in range(count)
    ]


@contextmanager
def half_form(bundle: Bundle, folder: Path) -> Iterator[Path | None]:
    """The bundle's fp16 graph, or one made from its fp32 graph; None if that has no trunk."""
    if "fp16" in bundle.manifest.variants:
        yield bundle.file(bundle.manifest.variants["fp16"].file)
        return
    path = folder / "made.fp16.onnx"
    try:
        onnx.save(half_graph(onnx.load(bundle.file(bundle.manifest.variants["fp32"].file))), path)
    except ExportError as error:
        print(f"No fp16: {error.problem}")
        yield None
        return
    yield path


def open_forms(bundle: Path, half: Path | None, *, dry: bool) -> list[Form]:
    """Every form, with every batch size warmed up; the first is what a GPU serves."""
    opened = Bundle.open(bundle)
    single = opened.file(opened.manifest.variants["fp32"].file)
    forms = []
    for name, graph in (("fp16", half), ("fp32", single)):
        for capture in (True, False):
            if graph is not None:
                runs_how = "captured" if capture else "not captured"
                session = _open(graph, capture=capture, half=name == "fp16", dry=dry)
                forms.append(
                    Form(f"{name}, {runs_how}", origin_of(graph, opened), graph, Inspector(opened, session))
                )
    for form in forms:
        for size in BUCKETS:
            form.inspector.warm_up(size)
    return forms


def origin_of(graph: Path, bundle: Bundle) -> str:
    """Which graph it is: a file of the bundle, or one that was made for this run."""
    own = {bundle.file(variant.file) for variant in bundle.manifest.variants.values()}
    return f"`{graph.name}`" if graph in own else "made from `inspector.onnx` for this run"


def _open(graph: Path, *, capture: bool, half: bool, dry: bool) -> OpenSession:
    if not dry:
        return open_session(graph, "cuda", cuda=CudaSettings(graphs=capture), half=half, outputs=OUTPUTS)
    opened = open_session(graph, "cpu", threads=1)
    runs = FixedRuns(opened.session, OUTPUTS, CpuMemory(), capture=capture)
    return OpenSession(opened.session, opened.provider, runs=runs)


def latency(forms: Sequence[Form], amount: Amount) -> dict[str, list[float]]:
    """Seconds of each run of one photo, the forms in turn."""
    seconds: dict[str, list[float]] = {form.name: [] for form in forms}
    photos = noise(forms[0].inspector, 1)
    for _ in range(amount.latency_runs):
        for form in forms:
            seconds[form.name].append(timed(form.inspector, photos, 1))
    return seconds


def throughput(forms: Sequence[Form], amount: Amount) -> dict[tuple[str, int], float]:
    """Photos a second by form and batch size, the median of rounds in which the forms take turns."""
    taken: dict[tuple[str, int], list[float]] = {(form.name, size): [] for form in forms for size in BUCKETS}
    for _ in range(amount.rounds):
        for size in BUCKETS:
            for form in forms:
                photos = noise(form.inspector, size)
                taken[form.name, size].append(timed(form.inspector, photos, amount.runs))
    return {key: key[1] * amount.runs / median(seconds) for key, seconds in taken.items()}


def noise(inspector: Inspector, size: int) -> list[npt.NDArray[np.uint8]]:
    place = inspector.manifest.preprocessing
    shape = (size, place.height, place.width, 3)
    return list(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def timed(inspector: Inspector, photos: Sequence[npt.NDArray[np.uint8]], runs: int) -> float:
    """Seconds of so many runs, photos staged as the service stages them."""
    started = time.perf_counter()
    for _ in range(runs):
        staged = inspector.stage(photos, len(photos))
        if staged is None:
            raise RuntimeError(f"a batch of {len(photos)} was not warmed up")
        inspector.run(staged)
    return time.perf_counter() - started


def agreement(bundle: Path, form: Form, photos: Sequence[bytes]) -> Agreement:
    """The form against fp32 on the CPU, on the bundle's golden photos and the given ones."""
    cpu = Inspector(form.inspector.bundle, open_session(_single(bundle), "cpu"))
    golden = [cpu.bundle.file(result.file).read_bytes() for result in cpu.bundle.golden_results()]
    compared, score, flips = 0, 0.0, 0
    for data in [*golden, *photos]:
        prepared = cpu.prepare(data)
        pair = [one.answer(prepared, one.run(prepared.tensor[None])[0]) for one in (cpu, form.inspector)]
        if all(answer.verdict == INVALID for answer in pair):
            continue
        compared += 1
        flips += pair[0].verdict != pair[1].verdict
        a, b = (answer.score for answer in pair)
        score = 1.0 if a is None or b is None else max(score, abs(a - b))
    return Agreement(compared, score, flips)


def _single(bundle: Path) -> Path:
    opened = Bundle.open(bundle, verify=False)
    return opened.file(opened.manifest.variants["fp32"].file)


def load(bundle: Path, photos: Sequence[bytes], amount: Amount, *, dry: bool) -> dict[str, Posted]:
    """The service, archive off, under as many clients as keep it busy; by the path that is posted to."""
    waiting = amount.processes * amount.clients
    cores = str(1 if dry else usable_cores())
    environment = {
        "GLINT_QUEUE_SIZE": str(2 * waiting),
        "GLINT_DECODE_THREADS": cores,
        "OMP_NUM_THREADS": cores,
    }
    device = "cpu" if dry else "cuda"
    posted = {}
    with serving(bundle, "--device", device, environment=environment) as live:
        for path in PATHS:
            how = {"processes": amount.processes, "clients": amount.clients}
            post_for(live.port, path, photos, seconds=amount.seconds / 4, **how)
            posted[path] = post_for(live.port, path, photos, seconds=amount.seconds, **how)
    return posted


if __name__ == "__main__":
    main()
