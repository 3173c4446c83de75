"""What a training is made of, settled and checked before anything is trained, and without loading torch."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.cuda.driver import driver_library
from models.decision import CLEAN
from models.errors import UsageError
from models.manifest import check_part_name
from models.networks.blocks import block_elements
from models.networks.padim_config import PadimConfig
from models.preprocessing import Preprocessing, default_size
from training.comparison import find_predecessor
from training.config import TrainConfig
from training.data.layouts import read_dataset
from training.data.samples import Dataset, Sample, check_trainable
from training.data.splits import Split, split_dataset
from training.packaging import check_destination, name_leftovers
from training.quality import check_gate_names
from training.synthetic.kinds import Kind, name_classes
from training.targets import Targets, check_askable
from training.trunk_choice import check_trunk

log = logging.getLogger(__name__)

# An ONNX file ends at 2 GiB; ResNet50 takes 100 MB of it.
_LARGEST_PADIM_BYTES = 1900 << 20


@dataclass(frozen=True)
class TrainingPlan:
    """Photos that were read and options that passed; nothing is trained or written yet.

    Attributes:
        classes: `clean`, then the defects that there are photos of to train on, or that are painted.
        painted_classes: the class of each kind of defect that is painted; empty where none is.
        predecessor: bundle to compare the new one with; None if it is the part's first.
    """

    config: TrainConfig
    dataset: Dataset
    split: Split
    targets: Targets
    classes: list[str]
    preprocessing: Preprocessing
    predecessor: Path | None
    painted_classes: dict[Kind, str]

    @property
    def size(self) -> tuple[int, int]:
        """The model's input (height, width)."""
        return self.preprocessing.size


def plan_training(config: TrainConfig) -> TrainingPlan:
    """Read the photos and settle all that can be known before the networks.

    Raises:
        UsageError: when no bundle can be made where it should go, of the size, with the gates or for the
            targets asked for.
        DeviceError: when `cuda` is asked for and there is no driver; torch may still find no GPU.
        BundleError: when there is no bundle to compare with where one was named.
        TrunkError: when the trunk is neither a known name nor a file of weights.
        DatasetError: when the photos cannot be trained on.
    """
    check_part_name(config.part)
    check_gate_names(config.gates_off)
    targets = Targets(config.max_false_rejects, config.max_escapes)
    check_trunk(config.trunk)
    if config.device == "cuda":
        driver_library()
    check_destination(config.bundles, config.part)
    name_leftovers(config.bundles, config.part)
    predecessor = find_predecessor(config.bundles, config.part, config.compare)
    dataset = read_dataset(config.photos, white_level=config.white_level, progress=config.progress)
    check_trainable(dataset)
    split = split_dataset(dataset.samples, seed=config.seed, fractions=config.fractions)
    _announce(dataset, split)
    check_askable(targets, sum(sample.label != CLEAN for sample in split.calibration))
    painted = _painted_classes(config, dataset)
    defects = {sample.label for sample in split.train}.union(painted.values()) - {CLEAN}
    plan = TrainingPlan(
        config=config,
        dataset=dataset,
        split=split,
        targets=targets,
        classes=[CLEAN, *sorted(defects)],
        preprocessing=_choose_preprocessing(config, split.train, dataset.samples),
        predecessor=predecessor,
        painted_classes=painted,
    )
    if config.alignment != "free":
        check_exportable(plan.size, config.padim)
    return plan


def check_exportable(size: tuple[int, int], padim: PadimConfig) -> None:
    """Refuse, before anything is trained, a PaDiM that no ONNX file can hold.

    Args:
        size: of the model's input (height, width).
        padim: what it would be fitted with.

    Raises:
        UsageError: naming the options that make it smaller.
    """
    positions = (size[0] // padim.stride) * (size[1] // padim.stride)
    needed = 4 * positions * block_elements(padim.dims)
    if needed > _LARGEST_PADIM_BYTES:
        raise UsageError(
            f"At {size[0]}x{size[1]} with {padim.dims} dims, PaDiM would take {needed / 2**30:.1f} GiB; "
            "an ONNX file holds 2 GiB.",
            "Use fewer --dims, a larger --grid-stride or a smaller --image-size.",
        )


def _painted_classes(config: TrainConfig, dataset: Dataset) -> dict[Kind, str]:
    if config.synthetic.photos:
        return name_classes(config.synthetic, dataset.classes[1:])
    if dataset.classes == [CLEAN]:
        log.warning("No photos of defects are used: there is no classifier, PaDiM decides alone.")
        log.warning("For a classifier without such photos, paint defects: --synthetic-defects 100.")
    return {}


def _choose_preprocessing(
    config: TrainConfig, training: Sequence[Sample], samples: Sequence[Sample]
) -> Preprocessing:
    """The shape comes from the training photos alone; what is letterboxed is said of all."""
    height, width = config.image_size or default_size((s.height, s.width) for s in training)
    preprocessing = Preprocessing(height=height, width=width, white_level=config.white_level)
    if config.alignment == "register":
        # What was stretched cannot be turned.
        preprocessing = preprocessing.model_copy(update={"max_stretch": 1.0})
    letterboxed = sum(preprocessing.place(s.height, s.width).letterboxed for s in samples)
    log.info("Model input: %d x %d (height x width).", height, width)
    if letterboxed:
        log.info("%d of %d photos have another shape and are letterboxed.", letterboxed, len(samples))
    return preprocessing


def _announce(dataset: Dataset, split: Split) -> None:
    log.info("Recognised layout: %s.", dataset.layout)
    for name, counts in split.counts().items():
        log.info("%-12s %s", name, ", ".join(f"{label} {count}" for label, count in counts.items()))
    for hint in dataset.hints:
        log.warning("%s", hint)
    for skipped in dataset.skipped:
        log.warning("Left out: %s: %s", skipped.name, skipped.reason)
