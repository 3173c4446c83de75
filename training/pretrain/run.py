"""`glint pretrain`: renders and learns until the time or the pictures are used up, and can be resumed."""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from models.errors import DeviceError, UsageError
from models.files import replacing
from training.pretrain.config import PARTS, PretrainConfig
from training.pretrain.finish import write_trunk
from training.pretrain.learner import Learner
from training.pretrain.source import Batch, PictureSource

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
TRUNK = "trunk.safetensors"

# Parts that are rendered ahead.
_AHEAD = 2 * PARTS
_LOG_EVERY = 20


def pretrain(config: PretrainConfig) -> Path:
    """Train a trunk on rendered pictures; returns the finished file, conv1..layer3 as fp16 safetensors.

    Writes `checkpoint.pt` and `log.jsonl` to `config.out` on the way.

    Raises:
        UsageError: when `out` holds a checkpoint that is not to be resumed, or none that could be.
        DeviceError: when CUDA is asked for and not there.
    """
    config = replace(config, device=_device(config.device))
    checkpoint = config.out / CHECKPOINT
    if config.resume and not checkpoint.is_file():
        raise UsageError(f"There is no checkpoint {checkpoint} to resume.", "Start without --resume.")
    if not config.resume and checkpoint.exists():
        raise UsageError(
            f"{config.out} holds the checkpoint of an earlier run.",
            "Go on from it with --resume, or name another folder.",
        )
    learner = Learner(replace(config, trunk=None) if config.resume else config)
    seconds, images = _resume(learner, checkpoint) if config.resume else (0.0, 0)
    config.out.mkdir(parents=True, exist_ok=True)
    started, saved = time.monotonic() - seconds, time.monotonic()
    unlogged: list[dict[str, float]] = []
    with PictureSource(config.classes, config.seed) as source, _Shown(config.progress) as shown:
        parts = _parts(config, source, started, images // config.views)
        while (share := config.share_done(time.monotonic() - started, images)) < 1.0:
            batches = [next(parts) for _ in range(PARTS)]
            figures = learner.step(batches, share)
            unlogged.append({**figures, "size": batches[-1].images.shape[1]})
            images += sum(len(batch.images) for batch in batches)
            if len(unlogged) == _LOG_EVERY:
                record = _log(config.out / LOG, unlogged, images, time.monotonic() - started)
                shown.update(share, images, record["surface_accuracy"])
                unlogged = []
            if time.monotonic() - saved > config.checkpoint_seconds:
                _save(checkpoint, learner, time.monotonic() - started, images)
                saved = time.monotonic()
    if unlogged:
        _log(config.out / LOG, unlogged, images, time.monotonic() - started)
    _save(checkpoint, learner, time.monotonic() - started, images)
    log.info("Trained on %d pictures; settling batch norm.", images)
    return write_trunk(
        learner.average,
        config.out / TRUNK,
        seed=config.seed,
        size=config.settle_size,
        begun_with=learner.begun_with,
    )


def _device(choice: str) -> str:
    available = torch.cuda.is_available()
    if choice == "cuda" and not available:
        raise DeviceError("torch finds no CUDA device to train on.", "Use --device cpu.")
    return "cuda" if available and choice != "cpu" else "cpu"


def _parts(config: PretrainConfig, source: PictureSource, started: float, first: int) -> Iterator[Batch]:
    """Rendered parts of steps without end; sizes follow the stages, a few parts late."""
    while True:
        while source.waiting < _AHEAD:
            order = config.part(config.share_done(time.monotonic() - started, config.views * first), first)
            for number in range(PARTS):
                source.order(replace(order, first=first + number * order.count))
            first += PARTS * order.count
        for _ in range(PARTS):
            yield source.receive()[1]


def _resume(learner: Learner, checkpoint: Path) -> tuple[float, int]:
    state: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    learner.restore(state["learner"])
    return float(state["seconds"]), int(state["images"])


def _save(checkpoint: Path, learner: Learner, seconds: float, images: int) -> None:
    with replacing(checkpoint) as partial:
        torch.save({"learner": learner.state(), "seconds": seconds, "images": images}, partial)


def _log(path: Path, steps: list[dict[str, float]], images: int, seconds: float) -> dict[str, float]:
    """Append the means over these steps, and how far the run has come."""
    means = {name: round(fmean(step[name] for step in steps), 4) for name in steps[0]}
    record = {"images": images, "seconds": round(seconds), **means}
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")
    return record


class _Shown:
    """One progress bar on stderr, in thousandths of the whole."""

    def __init__(self, enabled: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>5.1f} %"))
        self._progress = Progress(*columns, console=Console(stderr=True), disable=not enabled)
        self._task = self._progress.add_task("Pretraining", total=1.0)

    def __enter__(self) -> "_Shown":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, share: float, images: int, accuracy: float) -> None:
        words = f"Pretraining: {images} pictures, textures right {accuracy:.0%}"
        self._progress.update(self._task, completed=share, description=words)
