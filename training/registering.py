"""The photos of a training as the model sees them: as they lie, or laid on a template."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.decision import CLEAN
from models.errors import DatasetError
from models.manifest import Registration
from models.preprocessing import Placement
from models.quality import QualityGate, Range
from models.sight import TEMPLATE, Seen, Sight, encode_template
from training.ahead import work_ahead
from training.data.samples import MIN_CLEAN, Sample, Skipped
from training.data.splits import Split
from training.progress import track
from training.template import REMEDY, LearntTemplate

log = logging.getLogger(__name__)

# Largest share of clean calibration photos that may fail to register. One alone proves nothing.
MOST_REFUSED = 0.03


@dataclass(frozen=True)
class SeenPhotos:
    """Photos by split, each in the order of the split's photos.

    Attributes:
        split: which photos; those that could not be laid on the template are left out.
        sight: how they are seen.
        images: what the model sees, uint8 [N, H, W, 3], RGB.
        as_they_lie: the same before they were laid on the template.
        places: where each lies in what the model sees.
        correlations: with the template; None without one.
        left_out: photos of the split that did not register.
    """

    split: Split
    sight: Sight
    images: Mapping[str, npt.NDArray[np.uint8]]
    as_they_lie: Mapping[str, npt.NDArray[np.uint8]]
    places: Mapping[str, Sequence[Placement]]
    correlations: Mapping[str, Sequence[float]] | None = None
    left_out: tuple[Skipped, ...] = ()

    @classmethod
    def plain(cls, split: Split, sight: Sight, images: Mapping[str, npt.NDArray[np.uint8]]) -> "SeenPhotos":
        """Photos that are seen as they lie."""
        places = {
            name: [sight.preprocessing.place(sample.height, sample.width) for sample in samples]
            for name, samples in split.parts().items()
        }
        return cls(split, sight, images, images, places)


def register_photos(
    photos: SeenPhotos, learnt: LearntTemplate, gate: QualityGate, *, progress: bool
) -> tuple[SeenPhotos, QualityGate]:
    """Lay all photos on a template; give them, and the quality gate with what a photo must reach on it.

    Photos to learn from and to calibrate on that do not register are left out and named: on the line they
    would get no verdict (`announce_left_out`). Those of the test stay, so that the report counts them.

    Raises:
        DatasetError: when too many clean calibration photos do not register, or too few photos are left: of
            good parts, or of a defect to learn.
    """
    sight = replace(photos.sight, template=learnt.template)
    gate = gate.model_copy(
        update={"limits": {**gate.limits, "registration": Range(low=learnt.lowest, high=1.0)}}
    )
    seen: dict[str, list[Seen]] = {}
    kept: dict[str, list[int]] = {}
    left_out: list[Skipped] = []
    for name, samples in photos.split.parts().items():
        seen[name] = list(_lay(sight, photos, name, progress))
        unfit = [row for row, each in enumerate(seen[name]) if not _fits(each, learnt)]
        if name == "calibration":
            _check_refused([samples[row] for row in unfit], samples)
        if name == "test":
            unfit = []
        left_out += [Skipped(samples[row].name, _why(seen[name][row], learnt)) for row in unfit]
        kept[name] = sorted(set(range(len(samples))).difference(unfit))
    chosen = {name: tuple(part[row] for row in kept[name]) for name, part in photos.split.parts().items()}
    split = Split(chosen["train"], chosen["calibration"], chosen["test"])
    _check_left(photos.split, split)
    shape = photos.images["train"].shape[1:]
    found = {name: [each[row] for row in kept[name]] for name, each in seen.items()}
    return (
        SeenPhotos(
            split,
            sight,
            {
                name: np.array([s.tensor for s in each], np.uint8).reshape(-1, *shape)
                for name, each in found.items()
            },
            {name: photos.as_they_lie[name][kept[name]] for name in found},
            {name: [s.place for s in each] for name, each in found.items()},
            {name: [s.correlation or 0.0 for s in each] for name, each in found.items()},
            tuple(left_out),
        ),
        gate,
    )


def announce_left_out(photos: SeenPhotos) -> None:
    """Tell which photos could not be laid on the template."""
    for skipped in photos.left_out:
        log.warning("Left out: %s: %s", skipped.name, skipped.reason)


def write_template(folder: Path, sight: Sight) -> Registration | None:
    """Write the template that photos are laid on into a bundle's folder; None without one."""
    if sight.template is None:
        return None
    (folder / TEMPLATE).write_bytes(encode_template(sight.template))
    return Registration(file=TEMPLATE, fan=sight.template.fan)


def _lay(sight: Sight, photos: SeenPhotos, name: str, progress: bool) -> "list[Seen]":
    plain = [
        Seen(image, place, image, None)
        for image, place in zip(photos.as_they_lie[name], photos.places[name], strict=True)
    ]
    laid = work_ahead(sight.laid, plain)
    return list(track(laid, f"Laying {name} photos", total=len(plain), enabled=progress))


def _fits(seen: Seen, learnt: LearntTemplate) -> bool:
    return seen.correlation is not None and seen.correlation >= learnt.lowest


def _why(seen: Seen, learnt: LearntTemplate) -> str:
    return (
        f"it cannot be laid on the template, or the part is cut off: its correlation is "
        f"{seen.correlation or 0.0:.2f}, and {learnt.lowest:.2f} is the least"
    )


def _check_refused(unfit: Sequence[Sample], samples: Sequence[Sample]) -> None:
    clean = sum(sample.label == CLEAN for sample in samples)
    refused = [sample.name for sample in unfit if sample.label == CLEAN]
    if len(refused) > max(1.0, MOST_REFUSED * clean):
        more = f" and {len(refused) - 3} more" if len(refused) > 3 else ""
        raise DatasetError(
            f"--alignment register: {len(refused)} of {clean} clean calibration photos cannot be laid on the "
            f"template ({', '.join(refused[:3])}{more}); on the line such parts would get no verdict.",
            REMEDY,
        )


def _check_left(asked: Split, left: Split) -> None:
    clean = sum(sample.label == CLEAN for part in left.parts().values() for sample in part)
    if clean < MIN_CLEAN:
        raise DatasetError(
            f"--alignment register leaves {clean} clean photos, and {MIN_CLEAN} are needed.", REMEDY
        )
    no_verdict = "can be laid on the template of the clean ones; on the line such parts would get no verdict."
    if lost := {sample.label for sample in asked.train} - {sample.label for sample in left.train}:
        kinds = " or ".join(sorted(lost))
        raise DatasetError(f"--alignment register: no training photo of {kinds} {no_verdict}", REMEDY)
    before, after = (sum(s.label != CLEAN for s in each.calibration) for each in (asked, left))
    if before and not after:
        raise DatasetError(
            f"--alignment register: none of the {before} calibration photos of defects {no_verdict}", REMEDY
        )
