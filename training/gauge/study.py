"""Runs a measurement-system check: photos, repeats, figures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.errors import DatasetError, UsageError
from models.inspector import Inspector
from models.precision import WantedPrecision
from models.session import Device
from training.data.layouts import read_dataset
from training.data.samples import Dataset, Sample, Skipped
from training.evaluation import unseen_samples
from training.gauge.disturbances import Amplitudes
from training.gauge.figures import Flipping, WayFigures, flipping, way_figures
from training.gauge.presented import find_presented, inspect_presented
from training.gauge.simulate import simulate
from training.gauge.trials import Part, Way


@dataclass(frozen=True)
class Simulated:
    """Repeats are simulated: how far photos are disturbed, how often, from which seed."""

    amplitudes: Amplitudes
    repeats: int
    seed: int


@dataclass(frozen=True)
class Study:
    """What `glint gauge` found.

    Attributes:
        inspector: of the bundle.
        parts: photos, or parts that were presented again.
        ways: what was repeated; the last one is all kinds of disturbance together, or the only one.
        flipping: the parts that do not keep their outcome.
        simulated: how repeats were simulated; None if they are real.
        photos: where the photos are.
        layout: how they are arranged.
        n_left_out: photos left out because the bundle was trained or calibrated on them.
        n_seen: such photos that were taken in all the same, as asked for.
        skipped: files and groups that could not be used, with the reason.
    """

    inspector: Inspector
    parts: tuple[Part, ...]
    ways: tuple[WayFigures, ...]
    flipping: tuple[Flipping, ...]
    simulated: Simulated | None
    photos: Path
    layout: str
    n_left_out: int
    n_seen: int
    skipped: tuple[Skipped, ...]

    @property
    def main(self) -> WayFigures:
        """The figures that count: of all disturbances together, or of the real repeats."""
        return self.ways[-1]

    @property
    def n_defective(self) -> int:
        """Parts that are labelled defective."""
        return sum(part.defective for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """The object that `glint gauge --json` prints, but for the conclusions."""
        manifest = self.inspector.manifest
        return {
            "part": manifest.part,
            "bundle": str(self.inspector.bundle.path),
            "bundle_version": manifest.version,
            "provider": self.inspector.provider,
            "precision": self.inspector.variant.precision,
            "photos": str(self.photos),
            "layout": self.layout,
            "simulated": None if self.simulated is None else asdict(self.simulated),
            "n_parts": len(self.parts),
            "n_good": len(self.parts) - self.n_defective,
            "n_defective": self.n_defective,
            "n_left_out": self.n_left_out,
            "n_seen": self.n_seen,
            "ways": [way.model_dump(mode="json") for way in self.ways],
            "flipping": [each.model_dump(mode="json") for each in self.flipping],
            "skipped": [{"file": skipped.name, "reason": skipped.reason} for skipped in self.skipped],
        }


def run_study(
    bundle: Path,
    photos: Path,
    simulated: Simulated | None,
    *,
    device: Device,
    include_all: bool,
    progress: bool,
    precision: WantedPrecision = "auto",
) -> Study:
    """Inspect photos with small disturbances over and over, or parts that were photographed over and over.

    Photos that the bundle was trained or calibrated on are left out unless `include_all`, and with them the
    other photos of a part that was presented again.

    Args:
        bundle: of the part.
        photos: in any layout that training reads; their groups say which show the same part.
        simulated: how to disturb photos; None to take the photos of a group as repeats.
        device, precision: where and in which graph to run.
        include_all: take in photos that the bundle was made from.
        progress: show progress bars on stderr.

    Raises:
        UsageError: when photos are to be disturbed, but by nothing.
        BundleError, DeviceError, PrecisionError: when the bundle cannot be loaded as asked for.
        DatasetError: when the folder cannot be read, or holds nothing to repeat.
    """
    if simulated is not None and not simulated.amplitudes.kinds():
        raise UsageError(
            "With --shift 0, --light 0 and --noise 0 nothing would be disturbed.",
            "Leave one of them above 0.",
        )
    inspector = Inspector.load(bundle, device, precision=precision)
    white_level = inspector.manifest.preprocessing.white_level
    dataset = read_dataset(photos, white_level=white_level, progress=progress)
    unseen = unseen_samples(inspector.bundle, dataset.samples)
    chosen = list(dataset.samples) if include_all else unseen
    n_left_out = len(dataset.samples) - len(chosen)
    if simulated is None:
        parts, skipped, n_left_out = _real_repeats(inspector, dataset, photos, chosen, progress)
    else:
        _need_photos(chosen, dataset, bundle, photos)
        parts, skipped = simulate(
            inspector,
            chosen,
            simulated.amplitudes,
            repeats=simulated.repeats,
            seed=simulated.seed,
            progress=progress,
        )
    ways: tuple[Way, ...] = ("presented",) if simulated is None else simulated.amplitudes.kinds()
    if not parts:
        raise DatasetError(
            f"None of the photos of {photos} can be read any more: {_some(skipped)}.",
            "Leave them where they are while they are inspected.",
        )
    fresh = {sample.name for sample in unseen}
    n_seen = sum(sample.name not in fresh for part in parts for sample in part.samples)
    return Study(
        inspector=inspector,
        parts=tuple(parts),
        ways=tuple(way_figures(parts, way) for way in ways),
        flipping=tuple(flipping(parts, ways)),
        simulated=simulated,
        photos=photos,
        layout=dataset.layout,
        n_left_out=n_left_out,
        n_seen=n_seen,
        skipped=(*dataset.skipped, *skipped),
    )


def _real_repeats(
    inspector: Inspector, dataset: Dataset, photos: Path, chosen: Sequence[Sample], progress: bool
) -> tuple[list[Part], list[Skipped], int]:
    """The parts, the groups that are not used, and how many photos are left out for the bundle's sake."""
    groups, skipped = find_presented(dataset, photos)
    known = {sample.name for sample in chosen}
    usable: dict[str, list[Sample]] = {}
    n_left_out = 0
    for name, own in groups.items():
        seen = sum(sample.name not in known for sample in own)
        if not seen:
            usable[name] = own
            continue
        n_left_out += len(own)
        reason = f"the bundle was trained or calibrated on {seen} of its {len(own)} photos"
        skipped.append(Skipped(f"group {name}", reason))
    if not usable:
        raise DatasetError(
            f"{photos} holds no part whose photos could serve as repeats: {_some(skipped)}.",
            "Present parts that the bundle has not seen, and label all photos of a part alike; --all takes "
            "in parts that the bundle was made from.",
        )
    return inspect_presented(inspector, usable, progress=progress), skipped, n_left_out


def _some(skipped: Sequence[Skipped]) -> str:
    told = "; ".join(f"{each.name}: {each.reason}" for each in skipped[:3])
    return told if len(skipped) <= 3 else f"{told}; and {len(skipped) - 3} more"


def _need_photos(chosen: Sequence[Sample], dataset: Dataset, bundle: Path, photos: Path) -> None:
    if not chosen:
        raise DatasetError(
            f"{photos} holds nothing to repeat: {bundle} was trained or calibrated on all of its "
            f"{len(dataset.samples)} photos that could serve, and {len(dataset.skipped)} files could not be "
            "used.",
            "Name photos that the bundle has not seen, or take all of them in with --all.",
        )
