"""`glint train`: from a folder of photos to a bundle, step by step; what is checked first is in `plan`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from models.bundle import Bundle
from models.decision import CLEAN
from models.errors import DeviceError
from models.inspector import Inspector
from models.scores import write_scores
from models.session import open_session
from models.sight import Sight
from training.comparison import Compared, NotCompared, compare
from training.config import TrainConfig
from training.data.samples import Dataset, Sample
from training.data.splits import Split
from training.doubt import choose_with_doubt
from training.evaluation import Metrics, Record, inspect_samples, summarise
from training.export import FEWEST_COMPARED, compare_with_torch, export_graphs
from training.golden import write_golden
from training.images import load_images
from training.learning import Networks, train_networks
from training.limits import HeldOutScores, held_out_scores
from training.mean_part import write_mean
from training.movement import Settled, settle_movement
from training.packaging import BundleDraft, Findings
from training.plan import TrainingPlan, plan_training
from training.quality import calibration_reference, learn_gate
from training.recorded import scores_of
from training.registering import SeenPhotos, write_template
from training.report import write_report
from training.spread import spread
from training.synthetic.photos import PaintedPhotos, announce, paint_photos, stand_ins
from training.trunk import TrunkWeights, load_trunk
from training.variants.write import write_variants


@dataclass(frozen=True)
class Trained:
    """What a training run leaves: the bundle, and what it does on test photos.

    `comparison` is with the part's previous bundle; None if it is the first.
    """

    bundle: Bundle
    metrics: Metrics
    dataset: Dataset
    split: Split
    comparison: Compared | NotCompared | None


def train(config: TrainConfig) -> Trained:
    """Train on `config.photos` and write `config.bundles/<part>/<version>`.

    Raises:
        UsageError, DeviceError, BundleError, TrunkError, DatasetError: as of `plan_training`.
        DeviceError, DatasetError, TrunkError, ExportError: as of `carry_out`.
    """
    return carry_out(plan_training(config))


def carry_out(plan: TrainingPlan) -> Trained:
    """Train what was planned and write `<bundles>/<part>/<version>`.

    The bundle appears whole or not at all: it is made under a hidden name and renamed at the end.

    Raises:
        DeviceError: when `cuda` is asked for and torch has none.
        DatasetError: when defects are to be painted and on no photo one can be seen.
        TrunkError: when the trunk's weights cannot be had, or give nothing that can be worked with.
        ExportError: when an exported graph differs from the trained one.
    """
    config, classes, preprocessing = plan.config, plan.classes, plan.preprocessing
    device = _choose_device(config)
    weights = load_trunk(config.trunk)
    settled = _look(plan, weights, device)
    seen, gate = settled.photos, settled.gate
    split, images = seen.split, seen.images
    dataset = replace(plan.dataset, skipped=(*plan.dataset.skipped, *seen.left_out))
    painted = _paint(plan, seen)
    networks = train_networks(config, weights, classes, settled, painted, device)

    with BundleDraft(config.bundles, config.part) as draft:
        registration = write_template(draft.folder, seen.sight)
        graphs = export_graphs(draft.folder, networks.trunk, networks.head, networks.padim, plan.size)
        agreement = compare_with_torch(draft.folder, graphs, _photos_to_compare(images))
        opened = open_session(draft.folder / "inspector.onnx", "cpu")
        scores = _score(opened.session, images["calibration"], split.calibration, classes)
        findings = Findings(
            config=config,
            dataset=dataset,
            split=split,
            classes=classes,
            preprocessing=preprocessing,
            trunk=weights.provenance,
            chosen=choose_with_doubt(scores, plan.targets),
            agreement=agreement,
            quality=gate,
            registration=registration,
            calibration=calibration_reference(
                seen.as_they_lie["calibration"],
                split.calibration,
                preprocessing,
                gate,
                scores,
                seen.correlations["calibration"] if seen.correlations else None,
            ),
            learnt=_learnt(networks, painted),
        )
        unfinished = Bundle(draft.folder, draft.manifest(findings))
        records = _inspect_held_out(Inspector(unfinished, opened), split, config.progress)
        variants = write_variants(
            unfinished, records["calibration"], images["train"], with_int8=config.int8, seed=config.seed
        )
        metrics = summarise(records["test"], config.defect_rate)
        comparison = None
        if plan.predecessor:
            comparison = compare(
                plan.predecessor,
                records["test"],
                dataset,
                defect_rate=config.defect_rate,
                progress=config.progress,
            )
        figures = _figures(metrics, comparison)
        draft.write_splits(split)
        trained_on = zip(images["train"], split.train, strict=True)
        write_mean(draft.folder, (image for image, sample in trained_on if sample.label == CLEAN))
        write_scores(draft.folder, "fp32", scores_of(records))
        golden = write_golden(
            draft.folder, records["test"] or records["calibration"], variants.rehearsals(unfinished)
        )
        variants = variants.without(unfinished, golden.differing)
        manifest = draft.manifest(findings, figures, variants)
        write_report(
            draft.folder / "report.html",
            inspector=Inspector(Bundle(draft.folder, manifest), opened),
            records=records,
            metrics=metrics,
            dataset=dataset,
            splits=split.parts(),
            history=networks.history,
            suspects=networks.suspects,
            comparison=comparison,
            painted=painted,
            stand_ins=stand_ins(split, painted),
        )
        bundle = draft.publish(draft.manifest(findings, figures, variants))
    return Trained(bundle, metrics, dataset, split, comparison)


def _learnt(networks: Networks, painted: PaintedPhotos) -> dict[str, Any]:
    """What the manifest says of training beside the settings it was asked for."""
    return {
        "padim": {**vars(networks.choice.config), "normalise_why": networks.choice.why},
        "alignment": networks.alignment.summary(),
        "suspects": [suspect.sample.name for suspect in networks.suspects],
        **({"painted": painted.counts()} if painted.train else {}),
    }


def _figures(metrics: Metrics, comparison: Compared | NotCompared | None) -> dict[str, Any]:
    """What the manifest keeps of what was measured."""
    figures = metrics.model_dump(mode="json")
    if isinstance(comparison, Compared):
        figures["comparison"] = comparison.figures.model_dump(mode="json")
    return figures


def _look(plan: TrainingPlan, weights: TrunkWeights, device: str) -> Settled:
    """Read the photos, and settle how the model sees them; the quality gate reads them as they lie."""
    config, split, preprocessing = plan.config, plan.split, plan.preprocessing
    images = {
        name: load_images(samples, preprocessing, progress=config.progress)
        for name, samples in split.parts().items()
    }
    gate = learn_gate(
        np.concatenate([images["train"], images["calibration"]]),
        [*split.train, *split.calibration],
        preprocessing,
        without=config.gates_off,
    )
    photos = SeenPhotos.plain(split, Sight(preprocessing), images)
    return settle_movement(config, weights, photos, gate, device)


def _paint(plan: TrainingPlan, seen: SeenPhotos) -> PaintedPhotos:
    if not plan.painted_classes:
        return PaintedPhotos()
    painted = paint_photos(
        plan.config.synthetic,
        plan.painted_classes,
        seen,
        seed=plan.config.seed,
        progress=plan.config.progress,
    )
    announce(painted, seen.split)
    return painted


def _photos_to_compare(images: Mapping[str, npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    held_out = np.concatenate([images["calibration"], images["test"], images["train"]])
    count = min(len(held_out), 2 * FEWEST_COMPARED)
    n_held_out = max(count, len(images["calibration"]) + len(images["test"]))
    chosen: npt.NDArray[np.uint8] = held_out[spread(n_held_out, count)]
    return chosen


def _score(
    session: Any, images: npt.NDArray[np.uint8], samples: Sequence[Sample], classes: Sequence[str]
) -> HeldOutScores:
    outputs = ["probabilities", "anomaly_score"]
    results = [session.run(outputs, {"image": image[None]}) for image in images]
    anomaly = [float(score[0]) for _, score in results]
    defect = [1.0 - float(probabilities[0, 0]) for probabilities, _ in results]
    return held_out_scores(
        anomaly,
        defect if len(classes) > 1 else None,
        [sample.label != CLEAN for sample in samples],
        [sample.name for sample in samples],
        [sample.unit for sample in samples],
    )


def _inspect_held_out(inspector: Inspector, split: Split, progress: bool) -> dict[str, list[Record]]:
    return {
        name: inspect_samples(
            inspector, split.parts()[name], title=f"Inspecting {name} photos", progress=progress
        )
        for name in ("calibration", "test")
    }


def _choose_device(config: TrainConfig) -> str:
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise DeviceError(
            "torch finds no CUDA device to train on.", "Use --device cpu, or mend the GPU driver."
        )
    return "cuda" if available and config.device != "cpu" else "cpu"
