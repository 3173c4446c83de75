"""Running each batch size once before photos come, in the thread that will run them."""

import time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.errors import DeviceError

if TYPE_CHECKING:
    from models.inspector import Inspector, Outputs
    from service.batching import Batcher

# For one batch size: cuDNN tries every algorithm for each of some sixty convolutions.
SECONDS = 300.0


class _WarmUp:
    """What the worker runs in place of a photo's model: it warms the model up, in the worker's thread."""

    def __init__(self, inspector: "Inspector", size: int) -> None:
        self._inspector = inspector
        self._size = size
        self.error: Exception | None = None

    def run(self, batch: npt.NDArray[np.uint8]) -> list["Outputs"]:
        """Warm up; the outputs are for nobody."""
        from models.inspector import Outputs

        try:
            self._inspector.warm_up(self._size)
        except Exception as error:
            # Of the model that is being loaded, and not of the photos that the worker has in hand.
            self.error = error
        nothing = np.zeros(0, np.float32)
        return [Outputs(nothing, nothing, 0.0) for _ in batch]


def warm_up(inspector: "Inspector", size: int, batcher: "Batcher") -> None:
    """Run a batch of `size` once; where it matters, as on a GPU, in the worker that will run the photos.

    Raises:
        DeviceError: when a GPU cannot run it.
        ServiceError: when the worker takes nothing in.
        Exception: whatever ONNX Runtime raises.
    """
    if not inspector.keeps_to_a_thread:
        inspector.warm_up(size)
        return
    task = _WarmUp(inspector, size)
    place = inspector.manifest.preprocessing
    photo = np.zeros((place.height, place.width, 3), dtype=np.uint8)
    pending = batcher.submit(task, photo, time.monotonic() + SECONDS, typical=False)
    try:
        pending.result(SECONDS)
    except TimeoutError:
        pending.cancel()
        raise DeviceError(
            f"The GPU did not run a batch of {size} within {SECONDS:.0f} s.",
            "Look for GPU errors (`dmesg`, key `Xid`), and at what else runs on the GPU (`nvidia-smi`).",
        ) from None
    if task.error is not None:
        raise task.error
