"""Painted defects teach the classifier and nobody else."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from models.decision import CLEAN
from models.networks.padim import PadimFit
from models.networks.padim_config import PadimConfig
from models.preprocessing import Preprocessing
from models.quality import QualityGate
from models.sight import Sight
from training.config import FinetuneConfig, TrainConfig
from training.data.samples import Sample
from training.data.splits import Split
from training.learning import train_networks
from training.movement import Settled
from training.registering import SeenPhotos
from training.rendering.demo import render_photo
from training.synthetic.kinds import SyntheticConfig
from training.synthetic.photos import paint_photos
from training.trunk import load_trunk

SIZE = (64, 64)
COUNTS = {"train": 12, "calibration": 4, "test": 1}

pytestmark = pytest.mark.slow


def clean(name: str, count: int) -> tuple[Sample, ...]:
    names = [f"good/{name}_{index}.png" for index in range(count)]
    return tuple(Sample(Path(n), n, CLEAN, n, height=SIZE[0], width=SIZE[1]) for n in names)


def test_a_classifier_is_learnt_from_painted_photos_alone_and_padim_sees_none(monkeypatch) -> None:
    split = Split(*(clean(name, count) for name, count in COUNTS.items()))
    images: dict[str, npt.NDArray[np.uint8]] = {
        name: np.stack([render_photo(SIZE, None, np.random.default_rng((9, i)))[0] for i in range(count)])
        for name, count in COUNTS.items()
    }
    synthetic = SyntheticConfig(12, ("scratch", "stain"))
    size = Preprocessing(height=SIZE[0], width=SIZE[1])
    seen = SeenPhotos.plain(split, Sight(size), images)
    painted = paint_photos(
        synthetic,
        {"scratch": "scratch", "stain": "stain"},
        seen,
        seed=0,
        progress=False,
    )
    config = TrainConfig(
        photos=Path("photos"),
        part="bracket",
        padim=PadimConfig(dims=8),
        finetune=FinetuneConfig("head", views=2, readout_views=1),
        synthetic=synthetic,
        progress=False,
    )
    fitted: list[int] = []
    add = PadimFit.add

    def note(self: PadimFit, layers: tuple[torch.Tensor, ...]) -> None:
        fitted.append(len(layers[0]))
        add(self, layers)

    monkeypatch.setattr(PadimFit, "add", note)
    classes = [CLEAN, "scratch", "stain"]
    settled = Settled(seen, QualityGate(limits={}))
    networks = train_networks(config, load_trunk("none"), classes, settled, painted, "cpu")

    assert sum(fitted) == COUNTS["train"]
    assert networks.head is not None
    drawn = np.stack([photo.painted.pixels for photo in painted.train])
    with torch.inference_mode():
        good, bad = (
            networks.head(networks.trunk(torch.from_numpy(pixels))).softmax(dim=1)[:, 0]
            for pixels in (images["train"], drawn)
        )
    assert good.mean() > bad.mean() + 0.1, "what was learnt from is told apart"
