"""The methods of the accuracy benchmark; each learns a case's photos, judges its test photos, and tells.

A result holds `opinions` (name to figures over photos), `aupro`, `seconds` and `cpu_seconds` of learning from
decoded photos, `fit_seconds` of that beside the passes through the trunk, `times_trunk` (one photo, as
a multiple of a pass through layer1-3 of the same network in torch, measured in turn), and `mb`, by how much
memory grew at its peak.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import average_precision_score, precision_recall_curve
from torch import nn

from models.decision import CLEAN
from models.networks.padim_config import PadimConfig
from models.networks.resnet import Normalise, Trunk, build_resnet50
from models.scores import read_photo_scores
from tests.benchmarks.accuracy_cases import Case
from tests.benchmarks.accuracy_tables import Result
from tests.benchmarks.watching import watched
from training.anomaly import TrainingPhotos, fit_padim
from training.metrics import auroc
from training.recorded import groups_of, records_of
from training.sign_off import recall_at
from training.summary import Record
from training.trunk import load_trunk

BATCH = 8
TIMED_PHOTOS = 24
DIMS = PadimConfig().dims
# PatchCore's own default is a tenth of the patches, which takes hours here; a hundredth costs it little
# (Roth et al., Towards Total Recall in Industrial Anomaly Detection, CVPR 2022, table 1). On nuts that is
# about 1,000, which is what every set gets: on tiles a hundredth takes an hour.
CORESET_PATCHES = 1000


def glint(case: Case, trunk: Path, work: Path) -> Result:
    """The product: `glint train` with its defaults, and its bundle's answers."""
    from training.config import FinetuneConfig, TrainConfig
    from training.train import train

    config = TrainConfig(
        photos=case.folder,
        part=case.name,
        bundles=work / f"bundles-{case.seed}",
        trunk=str(trunk),
        seed=case.seed,
        int8=False,
        padim=PadimConfig(seed=case.seed),
        finetune=FinetuneConfig(seed=case.seed),
        progress=False,
    )
    with watched() as took:
        trained = train(config)
    manifest = trained.bundle.manifest
    kept = records_of(read_photo_scores(trained.bundle), manifest, manifest.limits, groups_of(trained.bundle))
    records = [record for record in kept["test"] if not record.invalid]
    defective = [record.defective for record in records]
    scores = {
        "anomaly": [record.inspection.anomaly.score for record in records],
        "classifier": [record.inspection.classifier.defect_probability for record in records],
        "combined": [record.inspection.score for record in records],
    }
    return {
        "opinions": {name: _figures(each, defective) for name, each in scores.items()},
        "aupro": trained.metrics.aupro,
        "caught": _caught_scratches(records) if case.name == "metal_nut" else None,
        "claimed": _false_rejects(kept["calibration"]),
        "found": _false_rejects(kept["test"]),
        "groups": len({sample.group for sample in case.split.calibration if sample.label == CLEAN}),
        "invalid": trained.metrics.n_invalid,
        **took,
    }


def padim(case: Case, trunk_file: Path, work: Path) -> Result:
    """Glint's PaDiM alone, as the bundle holds it: defects of train choose what it makes of contrast."""
    return _padim(case, trunk_file, case.train)


def padim_of_good(case: Case, trunk_file: Path, work: Path) -> Result:
    """The same on good photos alone, as where there are no photos of defects: nothing is chosen."""
    good = [sample for sample in case.split.train if sample.label == CLEAN]
    return _padim(case, trunk_file, TrainingPhotos.of(good, case.good))


def _padim(case: Case, trunk_file: Path, photos: TrainingPhotos) -> Result:
    trunk = build_resnet50(2, load_trunk(str(trunk_file)).state)[0]
    config = PadimConfig(seed=case.seed)
    passes = _Timed(trunk)
    with watched() as took:
        model, choice = fit_padim(passes, photos, config)

    def judge(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        anomaly_map, score = model(trunk(images))
        return score, nn.functional.interpolate(
            anomaly_map[:, None], scale_factor=float(config.stride), mode="bilinear"
        )[:, 0]

    fit_seconds = took["seconds"] - passes.seconds
    return {**_judged(case, judge, trunk), **took, "fit_seconds": fit_seconds, "choice": choice.why}


def anomalib_padim(case: Case, trunk_file: Path, work: Path) -> Result:
    """anomalib's PaDiM with as many channels as Glint's."""
    from anomalib.models.image.padim.torch_model import PadimModel

    torch.manual_seed(case.seed)
    model = PadimModel("resnet50", ["layer1", "layer2", "layer3"], pre_trained=False, n_features=DIMS)
    return _anomalib(case, trunk_file, model, model.fit)


def anomalib_patchcore(case: Case, trunk_file: Path, work: Path) -> Result:
    """anomalib's PatchCore."""
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    torch.manual_seed(case.seed)
    np.random.seed(case.seed)  # its random projection draws from the global generator
    model = PatchcoreModel(["layer2", "layer3"], "resnet50", pre_trained=False)
    height, width = case.good.shape[1:3]
    patches = len(case.good) * (height // 8) * (width // 8)
    return _anomalib(case, trunk_file, model, lambda: model.subsample_embedding(CORESET_PATCHES / patches))


def nearest_photo(case: Case, trunk_file: Path, work: Path) -> Result:
    """The plain ImageNet network: how far a photo's pooled layer4 is from the nearest good photo's.

    Bergman, Cohen, Hoshen, Deep Nearest Neighbor Anomaly Detection, 2020; two neighbours, as there.
    """
    trunk, head = build_resnet50(2, load_trunk(str(trunk_file)).state)

    def pooled(images: torch.Tensor) -> torch.Tensor:
        return head.layer4(trunk(images)[2]).mean(dim=(2, 3))

    with watched() as took, torch.inference_mode():
        good = torch.cat([pooled(batch) for batch in _batches(case.good)])

    def judge(images: torch.Tensor) -> tuple[torch.Tensor, None]:
        return torch.cdist(pooled(images), good).topk(2, largest=False).values.mean(dim=1), None

    return {**_judged(case, judge, trunk), **took, "fit_seconds": None}


def _anomalib(case: Case, trunk_file: Path, model: Any, fit: Callable[[], None]) -> Result:
    state = load_trunk(str(trunk_file)).state
    extractor = model.feature_extractor.feature_extractor
    extractor.load_state_dict({name: state[name] for name in extractor.state_dict()})
    normalise = Normalise()
    spent = _Spent()
    with watched() as took, torch.inference_mode():
        model.train()
        model.feature_extractor.eval()
        for batch in _batches(case.good):
            model(normalise(batch))
        with spent:
            fit()
        model.eval()

    def judge(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = model(normalise(images))
        return found.pred_score.flatten(), found.anomaly_map.reshape(len(images), *images.shape[1:3])

    trunk = build_resnet50(2, state)[0]
    return {**_judged(case, judge, trunk), **took, "fit_seconds": spent.seconds}


@torch.inference_mode()
def _judged(
    case: Case, judge: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor | None]], trunk: Trunk
) -> Result:
    judged = [judge(batch) for batch in _batches(case.test)]
    scores = torch.cat([score for score, _ in judged]).tolist()
    maps = [each for _, each in judged if each is not None]
    return {
        "opinions": {"anomaly": _figures(scores, case.defective)},
        "aupro": case.aupro(torch.cat(maps).numpy()) if maps else None,
        "times_trunk": _times_trunk(case, judge, trunk),
    }


def _times_trunk(case: Case, judge: Callable[[torch.Tensor], Any], trunk: Trunk) -> float:
    """What judging one photo costs, for what a pass through the trunk costs: medians, measured in turn."""
    seconds: dict[str, list[float]] = {"judge": [], "trunk": []}
    for image in torch.from_numpy(case.test[:TIMED_PHOTOS])[:, None]:
        for name, work in (("judge", judge), ("trunk", trunk)):
            started = time.perf_counter()
            work(image)
            seconds[name].append(time.perf_counter() - started)
    # The first few warm caches up.
    return median(seconds["judge"][4:]) / median(seconds["trunk"][4:])


def _figures(scores: Sequence[float], defective: Sequence[bool]) -> dict[str, float]:
    """Area under the ROC curve, average precision, largest F1, and recall at 1 % false rejects."""
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(defective)
    precision, recall, _ = precision_recall_curve(truth, values)
    both = precision + recall
    return {
        "auroc": auroc(values.tolist(), defective),
        "aupr": float(average_precision_score(truth, values)),
        "f1": float((2 * precision * recall / np.where(both > 0, both, 1)).max()),
        "recall": recall_at(values, truth, range(len(values)), 0.01).recall,
    }


def _caught_scratches(records: Sequence[Record]) -> list[int]:
    """Of the scratches, how many the combined score finds at 1 % false rejects, and how many there are."""
    own = [record for record in records if record.sample.label in (CLEAN, "scratch")]
    scores = np.array([record.inspection.score for record in own])
    defective = np.array([record.defective for record in own])
    return [recall_at(scores, defective, range(len(scores)), 0.01).caught, int(defective.sum())]


def _false_rejects(records: Sequence[Record]) -> dict[str, list[int]]:
    """Of the good photos, how many each rule and both together reject, and how many there are."""
    good = [record.inspection for record in records if not record.defective and not record.invalid]
    counted = {rule: [rule in answer.rules for answer in good] for rule in ("anomaly", "classifier")}
    counted["combined"] = [bool(answer.rules) for answer in good]
    return {name: [sum(rejected), len(good)] for name, rejected in counted.items()}


def _batches(images: npt.NDArray[np.uint8]) -> Iterator[torch.Tensor]:
    yield from torch.split(torch.from_numpy(images), BATCH)


class _Timed(nn.Module):
    """A network that adds up the seconds of its passes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seconds = 0.0

    def forward(self, images: torch.Tensor) -> Any:
        started = time.perf_counter()
        found = self.network(images)
        self.seconds += time.perf_counter() - started
        return found


class _Spent:
    """Adds up the seconds spent inside it."""

    seconds = 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._started
