"""Runs of fixed batch sizes on a GPU, through memory that stays where it is."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from models.cuda.memory import Memory
from models.errors import DeviceError

_IMAGE = "image"
_GRAPH_ID = "gpu_graph_id"
_NO_GRAPH = "-1"

# A replay uses the same kernels on the same numbers; what is left is the order of additions.
_RELATIVE, _ABSOLUTE = 1e-2, 1e-3

_TOO_MUCH = (
    "Leave the GPU to this service, allow it more (GLINT_GPU_MEMORY_MB), load fewer parts at a time, "
    "or use --device cpu."
)

Photos = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Slot:
    """One batch size: where its photos and outputs lie, and how it is run."""

    photos: Photos
    image: Any
    outputs: list[Any]
    binding: Any
    options: Any


class FixedRuns:
    """The batch sizes of one session, each with its own memory and, if asked for, its captured CUDA graph.

    ONNX Runtime keeps captured graphs by thread, and a replay works in memory that other runs of the session
    would use as well. So sizes are prepared and run in one thread, and nothing runs beside them.
    """

    def __init__(self, session: Any, outputs: Sequence[str], memory: Memory, *, capture: bool) -> None:
        """
        Args:
            session: an ONNX Runtime session whose only input is `image`, uint8 [N, H, W, 3].
            outputs: names of the float32 outputs that are wanted, all of fixed shape but for N.
            memory: where photos and outputs are to lie.
            capture: whether the runs are captured; the session must have been opened for it.
        """
        self._session = session
        self._names = list(outputs)
        self._memory = memory
        self._capture = capture
        self._slots: dict[int, _Slot] = {}
        self._thread: int | None = None
        self._lock = threading.Lock()

    @property
    def sizes(self) -> tuple[int, ...]:
        """The batch sizes that were prepared."""
        return tuple(sorted(self._slots))

    def prepare(self, size: int) -> None:
        """Tune, capture and prove one batch size; it is run in this thread from now on.

        Raises:
            DeviceError: when it cannot be run, or a replay gives something else than the run it repeats.
        """
        with self._lock:
            if self._thread not in (None, threading.get_ident()):
                raise RuntimeError("batch sizes of one session are prepared in one thread")
            try:
                slot = self._new_slot(size)
                self._prove(slot)
            except DeviceError:
                raise
            except Exception as error:
                # ONNX Runtime raises its own exceptions, which share no base class but Exception.
                reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
                raise DeviceError(
                    f"Batches of {size} cannot be run on the GPU: {reason}.", _TOO_MUCH
                ) from error
            self._thread = threading.get_ident()
            self._slots[size] = slot

    def stage(self, photos: Sequence[Photos], size: int) -> Photos | None:
        """Copy photos to where a batch of `size` is read from, the rest black; None if that is not prepared.

        What is returned is to be run before the next is staged.
        """
        slot = self._slots.get(size)
        if slot is None or self._thread != threading.get_ident():
            return None
        for index, photo in enumerate(photos):
            slot.photos[index] = photo
        slot.photos[len(photos) :] = 0
        return slot.photos

    def run(self, batch: Photos) -> list[npt.NDArray[np.float32]]:
        """Run uint8 [N, H, W, 3]; give the outputs in the order of their names.

        A batch of another size than those prepared, or in another thread, runs without a captured graph.
        """
        with self._lock:
            slot = self._slots.get(len(batch))
            if slot is None or self._thread != threading.get_ident():
                return self._run_plainly(batch)
            if batch is not slot.photos:
                slot.photos[:] = batch
            return self._run_slot(slot)

    def _run_slot(self, slot: _Slot) -> list[npt.NDArray[np.float32]]:
        slot.image.update_inplace(slot.photos)
        self._session.run_with_iobinding(slot.binding, slot.options)
        slot.binding.synchronize_outputs()
        # On a GPU `numpy` copies; on the CPU it shows the memory that the next run writes to.
        return [np.array(output.numpy()) for output in slot.outputs]

    def _run_plainly(self, batch: Photos) -> list[npt.NDArray[np.float32]]:
        options = self._run_options(_NO_GRAPH) if self._capture else None
        return list(self._session.run(self._names, {_IMAGE: batch}, options))

    def _prove(self, slot: _Slot) -> None:
        """The first bound run captures, later ones replay: both must give what a plain run gives."""
        noise = np.random.default_rng(0).integers(0, 256, slot.photos.shape, dtype=np.uint8)
        for photos in (noise, np.zeros_like(noise)):
            expected = self._run_plainly(photos)
            slot.photos[:] = photos
            found = self._run_slot(slot)
            for a, b in zip(found, expected, strict=True):
                if not np.allclose(a, b, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True):
                    raise DeviceError(
                        f"A batch of {len(photos)} gives something else on the GPU when its run is repeated.",
                        "Set GLINT_CUDA_GRAPHS=false, and report this with what `pip list` prints.",
                    )

    def _new_slot(self, size: int) -> _Slot:
        shapes = {node.name: self._shape(node, size) for node in self._session.get_outputs()}
        (node,) = self._session.get_inputs()
        photos = self._memory.host(self._shape(node, size))
        image = self._memory.device(photos.shape, np.uint8)
        outputs = [self._memory.device(shapes[name], np.float32) for name in self._names]
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(_IMAGE, image)
        for name, output in zip(self._names, outputs, strict=True):
            binding.bind_ortvalue_output(name, output)
        return _Slot(photos, image, outputs, binding, self._run_options(str(size)) if self._capture else None)

    def _shape(self, node: Any, size: int) -> list[int]:
        rest = list(node.shape[1:])
        if not all(isinstance(length, int) for length in rest):
            raise DeviceError(
                f"The graph's {node.name} has no fixed shape: {node.shape}.",
                "Train the bundle again with `glint train`.",
            )
        return [size, *rest]

    def _run_options(self, graph: str) -> Any:
        options = ort.RunOptions()
        options.log_severity_level = 4
        options.add_run_config_entry(_GRAPH_ID, graph)
        return options
