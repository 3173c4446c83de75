"""How the trunk is pretrained."""

from dataclasses import dataclass
from pathlib import Path

from training.pretrain.source import Order


@dataclass(frozen=True)
class Stage:
    """A share of the training with pictures of one size.

    Attributes:
        until: where it ends, as a share 0..1 of the whole training.
        size: pixels, a multiple of 16.
        batch: pictures per step, a multiple of `MOST_VIEWS * PARTS`.
    """

    until: float
    size: int
    batch: int


# A step's pictures are taken in so many parts, so that each core works on one at a time.
PARTS = 4

# Small pictures first: they cost half, and teach most of what can be learnt early.
STAGES = (Stage(0.7, 96, 32), Stage(1.0, 128, 32))


@dataclass(frozen=True)
class PretrainConfig:
    """What `glint pretrain` is asked for.

    Attributes:
        out: folder for checkpoint, log and the finished trunk.
        minutes: how long to train, earlier runs that are resumed included; None where `images` says.
        images: how many pictures to train on; None where `minutes` says.
        classes: texture classes.
        views: pictures of each scene; with two it is also asked which of their cells show one place.
        seed: of the pictures and of the first weights.
        resume: go on from the checkpoint in `out`.
        trunk: begin with these weights, as `--trunk` of training takes them; None for random ones.
        device: `auto`, `cpu` or `cuda`.
        progress: show progress on stderr.
        stages: sizes of the pictures, in their order.
        learning_rate: of AdamW, at its highest.
        ema_decay: of the averaged weights, per step; they are what is kept in the end.
        checkpoint_seconds: between two checkpoints.
        settle_size: pixels of the pictures from which batch norm's last statistics are taken.
    """

    out: Path
    minutes: float | None = 60.0
    images: int | None = None
    classes: int = 256
    views: int = 1
    seed: int = 0
    resume: bool = False
    trunk: str | None = None
    device: str = "auto"
    progress: bool = True
    stages: tuple[Stage, ...] = STAGES
    learning_rate: float = 1.2e-3
    ema_decay: float = 0.995
    checkpoint_seconds: float = 120.0
    settle_size: int = 224

    def share_done(self, seconds: float, images: int) -> float:
        """How much of the training is done, 0..1."""
        if self.images is not None:
            return min(1.0, images / self.images)
        return min(1.0, seconds / (60.0 * (self.minutes or 0.0) + 1e-9))

    def part(self, share: float, first: int) -> Order:
        """The order for one part of a step, from scene number `first` on."""
        stage = next(stage for stage in self.stages if share <= stage.until)
        return Order(first, stage.batch // (self.views * PARTS), stage.size, self.views)

    def rate_factor(self, share: float) -> float:
        """What the learning rate is multiplied by: a short warm-up, then a straight line to 0."""
        warm_up = 0.02
        return min(1.0, (share + 1e-3) / warm_up) * max(0.0, 1.0 - share)
