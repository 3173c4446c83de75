"""A service whose ONNX Runtime session can be told to fail, from the outside and while it runs.

Only the session is not what it would be in a plant: everything above it, from `models.session` on, is the
service as it is. `faulty_service` runs it; the order of the moment stands in a file.

| order | what the session does in every run |
| --- | --- |
| `` | what it should |
| `raise TEXT` | raises ONNX Runtime's exception with this text |
| `falter TEXT` | the same in every second run |
| `crowded N` | runs out of GPU memory on more than N photos |
| `die` | ends the worker's thread |
| `slow S` | takes S seconds |
| `nan`, `shifted` | gives NaN; gives half the anomaly, plausible and wrong |
| `moved` | answers from another execution provider than the one it was opened on |
| `clock S` | what it should, but the wall clock jumps to and fro by S seconds |
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

from models import opening
from models.errors import DeviceError
from models.session import CPU, CUDA, OpenSession, open_session
from tests.drills.harness import Photo, Shots, assert_never_clean_by_fault, cameras, wait_for_answers
from tests.service.live import Live, serving

ORDERS = "GLINT_DRILL_ORDERS"
PRETEND_GPU = "GLINT_DRILL_PRETEND_GPU"
SCRIPT = "from tests.drills.faulty import main; main()"

# As ONNX Runtime 1.2x words them (cuda_call.cc, bfc_arena.cc).
GPU_LOST = (
    "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 719: unspecified launch failure ; GPU=0 ; hostname=box ; "
    "expr=cudaStreamSynchronize(static_cast<cudaStream_t>(stream_));"
)
OUT_OF_MEMORY = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. "
    "Failed to allocate memory for requested buffer of size 205520896"
)


class FaultySession:
    """An ONNX Runtime session that does as it is ordered."""

    def __init__(self, session: Any, provider: str, orders: Path) -> None:
        self._session = session
        self._provider = provider
        self._orders = orders
        self._runs = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def get_providers(self) -> list[str]:
        return [CPU] if self._order()[0] == "moved" else [self._provider]

    def run(self, names: list[str], feed: dict[str, Any]) -> list[Any]:
        word, value = self._order()
        if word == "die":
            raise SystemExit("the thread was killed")
        self._runs += 1
        if word == "raise" or (word == "falter" and self._runs % 2):
            raise RuntimeException(value)
        if word == "crowded" and len(feed["image"]) > int(value):
            raise RuntimeException(OUT_OF_MEMORY)
        if word == "slow":
            time.sleep(float(value))
        outputs = self._session.run(names, feed)
        if word in ("nan", "shifted"):
            outputs[2] = outputs[2] * (float("nan") if word == "nan" else 0.5)
            outputs[1] = outputs[1] * 0.5
            outputs[0][:] = [[0.9, 0.1]] if word == "shifted" else outputs[0]
        return list(outputs)

    def _order(self) -> tuple[str, str]:
        word, _, value = self._orders.read_text().strip().partition(" ")
        return word, value


@dataclass(frozen=True)
class Faulty:
    """A running service and the file that orders its faults."""

    live: Live
    orders: Path

    def order(self, text: str) -> None:
        """Give an order; the next run of the session follows it."""
        # By rename, so that the service never reads half an order.
        draft = self.orders.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(self.orders)


@contextmanager
def faulty_service(
    bundles: Path, folder: Path, *, gpu: bool = False, order: str = "", **settings: str
) -> Iterator[Faulty]:
    """Run the service until the block ends.

    Args:
        bundles: its bundles.
        folder: for the orders.
        gpu: pretend that the session runs on CUDA, so that photos are batched.
        order: the first one.
        settings: of the service, as in `canary_seconds="0.2"`.
    """
    orders = folder / "orders"
    orders.write_text(order)
    environment: Mapping[str, str] = {
        ORDERS: str(orders),
        PRETEND_GPU: "1" if gpu else "",
        **{f"GLINT_{name.upper()}": value for name, value in settings.items()},
    }
    with serving(bundles, script=SCRIPT, environment=environment, ready=not order) as live:
        yield Faulty(live, orders)


@contextmanager
def under_load(
    bundles: Path,
    folder: Path,
    album: Sequence[Photo],
    *,
    count: int = 3,
    pause: float = 0.0,
    gpu: bool = False,
    **settings: str,
) -> Iterator[tuple[Faulty, Shots]]:
    """A `faulty_service` that has answered some photos of `cameras`, and goes on being sent them.

    In the end, nothing was answered by fault that should not have been: the property of `harness` holds.
    """
    with (
        faulty_service(bundles, folder, gpu=gpu, **settings) as service,
        cameras(service.live.port, album, count=count, pause=pause) as shots,
    ):
        wait_for_answers(shots, 10)
        yield service, shots
    assert_never_clean_by_fault(shots)


def main() -> None:
    """Serve; the port and the bundles folder are in `sys.argv`, the rest in the environment."""
    from service.server import serve
    from service.settings import Settings

    orders = Path(os.environ[ORDERS])
    provider = CUDA if os.environ[PRETEND_GPU] else CPU

    def open_faulty(model: Path, device: str, threads: int | None, **_of_a_gpu: Any) -> OpenSession:
        if device == "cuda" and provider != CUDA:
            raise DeviceError("There is no GPU in this drill.", "Use --device cpu.")
        session = open_session(model, "cpu", threads=1).session
        return OpenSession(FaultySession(session, provider, orders), provider)

    opening.open_session = open_faulty
    _let_the_clock_jump(orders)
    serve(Settings.of(port=int(sys.argv[1]), bundles=Path(sys.argv[2]), threads=1))


def _let_the_clock_jump(orders: Path) -> None:
    """Make `time.time` jump to and fro, twenty times a second, while the order is `clock S`."""
    true_time = time.time

    def jumping() -> float:
        word, _, value = orders.read_text().strip().partition(" ")
        back_and_forth = 1 if int(time.monotonic() * 20) % 2 else -1
        return true_time() + (back_and_forth * float(value) if word == "clock" else 0.0)

    time.time = jumping
    time.time_ns = lambda: int(jumping() * 1e9)
