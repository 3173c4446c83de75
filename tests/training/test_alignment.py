"""Whether parts lie still: what `--alignment auto` decides, on what, and what it says."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import training.alignment
from models.networks.free_padim import FreePadim
from models.networks.padim import Padim
from models.networks.padim_config import PadimConfig
from models.networks.resnet import Trunk, build_resnet50
from models.preprocessing import Preprocessing
from training.alignment import decide, fit_aligned
from training.anomaly import TrainingPhotos
from training.config import TrainConfig
from training.data.samples import Sample
from training.synthetic.photos import CleanPhotos
from training.trunk import load_trunk

SIZE = (96, 96)


def scores(n: int, apart: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of photos, and of the same photos painted, which are higher by `apart` deviations."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, n), rng.normal(apart, 1, n)


def test_free_is_taken_where_it_is_clearly_better() -> None:
    chosen = decide(scores(32, 0.0), scores(32, 3.0))
    assert chosen.chosen == "free"
    assert chosen.image_auroc["free"] > chosen.image_auroc["fixed"] + 0.3
    assert f"{chosen.image_auroc['free']:.3f}" in chosen.why
    assert "32 clean calibration photos" in chosen.why


@pytest.mark.parametrize("better", [0.0, 0.15])
def test_ties_and_near_ties_go_to_fixed(better: float) -> None:
    for seed in range(10):
        fixed = scores(32, 1.5, seed)
        chosen = decide(fixed, (fixed[0], fixed[1] + better))
        assert chosen.chosen == "fixed"
        if better:
            assert chosen.image_auroc["free"] >= chosen.image_auroc["fixed"]


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    return build_resnet50(2, load_trunk("glint").state)[0]


def photos(count: int, first: int, *, turned: bool) -> np.ndarray:
    """Plates under a little noise, uint8 [count, 96, 96, 3]: level in the middle, or anyhow."""
    drawn = []
    for number in range(first, first + count):
        rng = np.random.default_rng(number)
        x, y, angle = (*rng.uniform(30, 66, 2), rng.uniform(0, 360)) if turned else (48, 48, 0)
        corners = cv2.boxPoints(((float(x), float(y)), (56, 30), float(angle)))
        photo = rng.normal(60, 2, (*SIZE, 1))
        cv2.fillConvexPoly(photo, np.rint(corners * 16).astype(np.int32), 150, cv2.LINE_AA, shift=4)
        drawn.append(np.repeat(photo.clip(0, 255).astype(np.uint8), 3, axis=2))
    return np.stack(drawn)


def held_out(count: int, *, turned: bool) -> CleanPhotos:
    names = [f"{index}.jpg" for index in range(count)]
    samples = [Sample(Path(n), n, "clean", n, height=SIZE[0], width=SIZE[1]) for n in names]
    images = photos(count, 1000, turned=turned)
    place = Preprocessing(height=SIZE[0], width=SIZE[1]).place(*SIZE)
    return CleanPhotos(samples, images, [place] * count)


@pytest.mark.slow
@pytest.mark.parametrize(("turned", "chosen", "kind"), [(True, "free", FreePadim), (False, "fixed", Padim)])
def test_parts_at_any_angle_need_free_and_those_in_a_holder_fixed(
    trunk: Trunk, turned: bool, chosen: str, kind: type
) -> None:
    config = TrainConfig(Path("photos"), "plate", padim=PadimConfig(dims=40), progress=False)
    good = photos(40, 0, turned=turned)
    given = TrainingPhotos(good, np.zeros(len(good), bool), range(len(good)))
    padim, _, alignment = fit_aligned(config, trunk, given, held_out(20, turned=turned), "cpu")
    assert alignment.chosen == chosen, alignment
    assert isinstance(padim, kind)
    assert alignment.asked == "auto"


@pytest.mark.slow
def test_what_is_asked_for_is_not_tried(trunk: Trunk, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("nothing is to be painted")

    monkeypatch.setattr(training.alignment, "paint_pairs", fail)
    config = TrainConfig(Path("photos"), "plate", padim=PadimConfig(dims=8), alignment="free")
    given = TrainingPhotos(photos(4, 0, turned=True), np.zeros(4, bool), range(4))
    padim, _, alignment = fit_aligned(config, trunk, given, held_out(20, turned=True), "cpu")
    assert isinstance(padim, FreePadim)
    assert (alignment.chosen, alignment.image_auroc) == ("free", {})
