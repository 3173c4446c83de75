"""Batches of rendered pictures, made by a process of its own while the network trains on the last ones."""

import multiprocessing
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from training.pretrain.pictures import Example, Textures, render_example, render_views

UNKNOWN = -100

# So much of a cell must be of one texture for the cell to count as that.
_PURE = 0.7


@dataclass(frozen=True)
class Order:
    """Pictures wanted, 1 or 2 of each of the scenes `first` to `first + count - 1`, `size` pixels a side."""

    first: int
    count: int
    size: int
    views: int = 1


@dataclass(frozen=True)
class Batch:
    """Pictures uint8 [N, H, W, 3] RGB, and int64 labels on the grids of layer1-3 (`UNKNOWN`: to be ignored).

    Attributes:
        images: the pictures.
        textures16, textures8: texture class, [N, H/16, W/16] and [N, H/8, W/8].
        things: kind of thing, 0 for none, [N, H/8, W/8].
        flaws: kind of flaw, 0 for none, [N, H/4, W/4].
        surfaces: texture class of each picture's ground, [N].
        corners: row and column of each picture's upper left pixel in its scene, [N, 2]. The views of a scene
            follow each other.
        views: pictures of each scene.
    """

    images: npt.NDArray[np.uint8]
    textures16: npt.NDArray[np.int64]
    textures8: npt.NDArray[np.int64]
    things: npt.NDArray[np.int64]
    flaws: npt.NDArray[np.int64]
    surfaces: npt.NDArray[np.int64]
    corners: npt.NDArray[np.int64]
    views: int = 1


def collate(examples: list[Example], views: int = 1) -> Batch:
    """Put examples of one size, a multiple of 16, together; so many views of a scene follow each other."""
    textures = np.stack([example.textures for example in examples])
    return Batch(
        images=np.stack([example.pixels for example in examples]),
        textures16=_pure_cells(textures, 16),
        textures8=_pure_cells(textures, 8),
        things=_cells(np.stack([e.things for e in examples]), 8)[..., 4, 4].astype(np.int64),
        # A scratch is thinner than a cell, and would be missed in the middle.
        flaws=_cells(np.stack([e.flaws for e in examples]), 4).max(axis=(3, 4)).astype(np.int64),
        surfaces=np.array([example.surface for example in examples], dtype=np.int64),
        corners=np.array([example.corner for example in examples], dtype=np.int64),
        views=views,
    )


def render_order(textures: Textures, order: Order, seed: int) -> Batch:
    """What was ordered."""
    scenes = range(order.first, order.first + order.count)
    if order.views == 1:
        return collate([render_example(textures, n, order.size, seed) for n in scenes])
    pictures = [view for n in scenes for view in render_views(textures, n, order.size, seed)]
    return collate(pictures, order.views)


class PictureSource:
    """Renders orders in another process, in the order in which they came."""

    def __init__(self, classes: int, seed: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, classes, seed), daemon=True)
        self._process.start()
        there.close()
        self._orders: deque[Order] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._here.close()
        self._process.terminate()
        self._process.join()

    @property
    def waiting(self) -> int:
        """Orders that were not received yet."""
        return len(self._orders)

    def order(self, order: Order) -> None:
        """Ask for a batch."""
        self._orders.append(order)
        self._here.send(order)

    def receive(self) -> tuple[Order, Batch]:
        """The batch of the oldest order.

        Raises:
            RuntimeError: when the rendering process has died.
        """
        try:
            batch: Batch = self._here.recv()
        except EOFError as error:
            raise RuntimeError("The process that renders the pictures has died.") from error
        return self._orders.popleft(), batch


def _serve(connection: Connection, classes: int, seed: int) -> None:
    # Training needs the other cores.
    cv2.setNumThreads(1)
    textures = Textures(classes, seed)
    try:
        while True:
            order: Order = connection.recv()
            connection.send(render_order(textures, order, seed))
    except (EOFError, OSError):
        # The training is over and has hung up.
        return


def _cells(labels: npt.NDArray[np.integer], side: int) -> npt.NDArray[np.integer]:
    """[N, H, W] to [N, H/side, W/side, side, side]."""
    n, height, width = labels.shape
    split = labels.reshape(n, height // side, side, width // side, side)
    return split.swapaxes(2, 3)


def _pure_cells(labels: npt.NDArray[np.integer], side: int) -> npt.NDArray[np.int64]:
    cells = _cells(labels, side)
    middle = cells[..., side // 2, side // 2]
    share = (cells == middle[..., None, None]).mean(axis=(3, 4))
    return np.where(share >= _PURE, middle, UNKNOWN).astype(np.int64)
