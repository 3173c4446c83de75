"""Everything `glint train` can be told, in one value; known without loading torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from models.networks.padim_config import PadimConfig
from training.augmentation import Augmentation
from training.sign_off import DEFECT_RATE
from training.synthetic.kinds import SyntheticConfig
from training.trunk_choice import NAMED_TRUNKS

# Where good parts lie: in the same place in every photo, anywhere, or there once they are laid on a template.
Alignment = Literal["fixed", "free", "register"]
AlignmentOption = Literal["auto"] | Alignment
Strategy = Literal["head", "layer4", "discriminative", "full"]


@dataclass(frozen=True)
class FinetuneConfig:
    """How the classifier is fine-tuned.

    Attributes:
        strategy: `head` fits the read-out, `layer4` then moves layer4 with it, `discriminative` every layer
            with learning rates that fall towards the input, `full` every layer alike.
        epochs: at most; early stopping usually ends sooner.
        patience: epochs without a better calibration loss before stopping.
        epoch_samples: views drawn per epoch at most, half of them clean.
        views: views per photo that are drawn from: the photo itself and augmented ones.
        readout_views, readout_samples: on how many of these the read-out is fitted: per photo, and in all
            (but each photo once).
        learning_rate: of the read-out and layer4; AdamW, warm-up over the first tenth, then cosine.
    """

    strategy: Strategy = "layer4"
    epochs: int = 20
    patience: int = 6
    batch: int = 16
    epoch_samples: int = 320
    views: int = 8
    readout_views: int = 3
    readout_samples: int = 1600
    learning_rate: float = 1e-4
    weight_decay: float = 0.05
    label_smoothing: float = 0.02
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        photos: the folder (or CSV) of photos.
        part: the part's name; becomes a folder name.
        bundles: folder under which `<part>/<version>` is made.
        trunk: `auto`, `imagenet`, `glint`, `none` or a file.
        image_size: model input (height, width), multiples of 16; None for the photos' own shape.
        white_level: the value that means white in 16-bit photos.
        max_false_rejects: largest share of good parts to reject, over both rules; None if only escapes count.
        max_escapes: largest share of defective parts to pass; None if nothing is asked of it.
        defect_rate: share of a line's parts that are defective, for what the limits cost in the report.
        gates_off: readings that the quality gate leaves alone; `all` turns it off.
        int8: write an int8 graph for CPUs as well, if it agrees with fp32.
        compare: bundle to compare the new one with; None for the part's newest.
        fractions: of photos for training, calibration and test.
        alignment: whether PaDiM has a Gaussian for each grid position (`fixed`), or one mixture for all of
            them together (`free`); or the first, after photos were laid on a template (`register`); `auto`
            for what suits.
        synthetic: defects to paint on photos of good parts.
    """

    photos: Path
    part: str
    bundles: Path = Path("bundles")
    trunk: str = "auto"
    image_size: tuple[int, int] | None = None
    white_level: int = 65535
    max_false_rejects: float | None = 0.01
    max_escapes: float | None = None
    defect_rate: float = DEFECT_RATE
    gates_off: tuple[str, ...] = ()
    int8: bool = True
    compare: Path | None = None
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    alignment: AlignmentOption = "auto"
    padim: PadimConfig = field(default_factory=PadimConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    progress: bool = True

    def summary(self) -> dict[str, Any]:
        """What the manifest keeps of it: no paths of the machine it ran on."""
        padim, finetune = self.padim, self.finetune
        return {
            "trunk": self.trunk if self.trunk in NAMED_TRUNKS else "file",
            "seed": self.seed,
            "fractions": list(self.fractions),
            "max_false_rejects": self.max_false_rejects,
            "max_escapes": self.max_escapes,
            "defect_rate": self.defect_rate,
            "gates_off": list(self.gates_off),
            "int8": self.int8,
            "finetune": {**vars(finetune), "augmentation": vars(finetune.augmentation)},
            "padim": dict(vars(padim)),
            "synthetic": self.synthetic.summary(),
        }
