"""Photos of good parts with painted defects: which are painted, and what they are called."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.decision import CLEAN
from models.errors import DatasetError
from models.preprocessing import Placement
from models.resizing import own_part
from training.data.samples import Sample, Skipped
from training.data.splits import Split
from training.progress import track
from training.registering import SeenPhotos
from training.rendering.defects import Mask
from training.synthetic.kinds import Kind, SyntheticConfig
from training.synthetic.painting import Painted, paint
from training.synthetic.surface import find_surface

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PaintedPhoto:
    """A painted photo, its class, and the name of the good photo that it was painted on."""

    painted: Painted
    label: str
    source: str


@dataclass(frozen=True)
class PaintedPhotos:
    """What the classifier gets beside the real photos; nothing else sees them.

    Attributes:
        train: to learn from; painted on clean training photos.
        calibration: to stop on; painted on clean calibration photos.
        left_out: photos on which a defect was to be painted and none could be that can be seen.
    """

    train: tuple[PaintedPhoto, ...] = ()
    calibration: tuple[PaintedPhoto, ...] = ()
    left_out: tuple[Skipped, ...] = ()

    @property
    def classes(self) -> set[str]:
        """The classes that can be learnt from painted photos."""
        return {photo.label for photo in self.train}

    def counts(self) -> dict[str, Any]:
        """What the manifest keeps: painted photos by split and class."""
        parts = {"train": self.train, "calibration": self.calibration}
        return {name: dict(sorted(Counter(p.label for p in part).items())) for name, part in parts.items()}


def paint_photos(
    config: SyntheticConfig,
    classes: Mapping[Kind, str],
    seen: SeenPhotos,
    *,
    seed: int,
    progress: bool = True,
) -> PaintedPhotos:
    """Paint `config.photos` clean training photos, and as large a share of the clean calibration photos.

    A photo may be painted several times, each time anew. All is done at the model's size, where scratches are
    drawn finer and reduced. The test photos are not looked at, and the given images not changed.

    Args:
        classes: the class of each kind.
        seen: the photos as the model sees them.
        seed: the same seed gives the same photos.

    Raises:
        DatasetError: when of some kind no defect that can be seen could be painted to learn from.
    """
    train, calibration = (
        CleanPhotos(samples, seen.images[name], seen.places[name])
        for name, samples in (("train", seen.split.train), ("calibration", seen.split.calibration))
    )
    n_held_out = max(len(config.kinds), round(config.photos * len(calibration.samples) / len(train.samples)))
    done: list[tuple[PaintedPhoto, ...]] = []
    left_out: list[Skipped] = []
    for number, (clean, count) in enumerate(((train, config.photos), (calibration, n_held_out))):
        # Shuffled anew each time round, so that a photo does not get the same kind again and again.
        shuffler, n_clean = np.random.default_rng((seed, number)), len(clean.samples)
        order = [int(row) for _ in range(0, count, n_clean) for row in shuffler.permutation(n_clean)]
        photos = []
        for index in track(range(count), "Painting defects", enabled=progress):
            row, kind = order[index], config.kinds[index % len(config.kinds)]
            rng = np.random.default_rng((seed, number, index))
            painted, name = clean.paint(row, kind, rng), clean.samples[row].name
            if painted is None:
                left_out.append(Skipped(name, f"no {kind} that can be seen could be painted on it"))
            else:
                photos.append(PaintedPhoto(painted, classes[kind], name))
        done.append(tuple(photos))
    result = PaintedPhotos(done[0], done[1], tuple(dict.fromkeys(left_out)))
    _check(result, classes)
    return result


def announce(painted: PaintedPhotos, split: Split) -> None:
    """Tell what was painted, what could not be, and where real photos of a painted class are missing."""
    for name, counts in painted.counts().items():
        log.info("%-12s %s (painted)", name, ", ".join(f"{label} {count}" for label, count in counts.items()))
    for skipped in painted.left_out:
        log.warning("Not painted: %s: %s", skipped.name, skipped.reason)
    if alone := sorted({photo.label for photo in stand_ins(split, painted)}):
        log.warning(
            "No real photo of %s is held out for calibration: painted ones say when to stop.",
            " or ".join(alone),
        )
    if untested := sorted(painted.classes - {sample.label for sample in split.test}):
        log.warning(
            "No real photo of %s is tested: what is found of them is not known.", " or ".join(untested)
        )


def stand_ins(split: Split, painted: PaintedPhotos) -> tuple[PaintedPhoto, ...]:
    """The painted calibration photos of classes of which no real one was held out for calibration."""
    real = {sample.label for sample in split.calibration}
    return tuple(photo for photo in painted.calibration if photo.label not in real)


class CleanPhotos:
    """The clean photos of a split, `samples`, and where on each the part is.

    Args:
        samples: the split's photos.
        images: uint8 [N, H, W, 3] RGB in the order of `samples`; not changed.
        places: where each lies in its image.
    """

    def __init__(
        self, samples: Sequence[Sample], images: npt.NDArray[np.uint8], places: Sequence[Placement]
    ) -> None:
        self._rows = [row for row, sample in enumerate(samples) if sample.label == CLEAN]
        self.samples = [samples[row] for row in self._rows]
        self._images = images
        self._places = places
        self._surfaces: dict[int, Mask] = {}

    def pixels(self, index: int) -> npt.NDArray[np.uint8]:
        """The clean photo of this index, uint8 [H, W, 3] RGB."""
        pixels: npt.NDArray[np.uint8] = self._images[self._rows[index]]
        return pixels

    def paint(self, index: int, kind: Kind, rng: np.random.Generator) -> Painted | None:
        """Paint a defect on the clean photo of this index; None where none could be that can be seen."""
        if index not in self._surfaces:
            self._surfaces[index] = self._surface(index)
        return paint(self.pixels(index), self._surfaces[index], kind, rng)

    def _surface(self, index: int) -> Mask:
        """The part's surface bool [H, W], as far as the photo goes."""
        surface = find_surface(self.pixels(index))
        return np.asarray(surface & own_part(self._places[self._rows[index]], *surface.shape))


def _check(painted: PaintedPhotos, classes: Mapping[Kind, str]) -> None:
    missing = [kind for kind, label in classes.items() if label not in painted.classes]
    if missing:
        names = ", ".join(dict.fromkeys(skipped.name for skipped in painted.left_out[:3]))
        raise DatasetError(
            f"No {' and no '.join(missing)} that can be seen could be painted on any photo ({names}, ...).",
            "Look at the photos of good parts: a part that is all black or white shows nothing. Or train "
            f"without: --synthetic-kinds {','.join(k for k in classes if k not in missing) or 'KINDS'}, or "
            "--synthetic-defects 0.",
        )
