"""Inspecting photos whose truth is known, by the very path that the service takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.answer import AnomalyOpinion, ClassifierOpinion, ImageFacts, Inspection
from models.bundle import Bundle
from models.decision import INVALID
from models.errors import DatasetError, PhotoError
from models.inspector import Inspector, Outputs, Prepared
from models.precision import WantedPrecision
from models.session import Device
from training.ahead import work_ahead
from training.data.layouts import read_dataset
from training.data.samples import Sample, Skipped
from training.progress import track
from training.sign_off import DEFECT_RATE
from training.summary import Metrics, Record, share_of_defect, summarise

__all__ = [
    "Evaluation",
    "Metrics",
    "Record",
    "evaluate_bundle",
    "inspect_samples",
    "made_from",
    "summarise",
    "unseen_samples",
]

_FLOAT16_MAX = np.float32(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Evaluation:
    """What `glint evaluate` found.

    Attributes:
        n_left_out: photos left out because the bundle was trained or calibrated on them.
        n_seen: such photos that were taken in all the same, as asked for.
        skipped: files that could not be read, with the reason.
    """

    metrics: Metrics
    records: tuple[Record, ...]
    bundle: Path
    part: str
    version: str
    provider: str
    precision: str
    photos: Path
    layout: str
    n_left_out: int
    n_seen: int
    skipped: tuple[Skipped, ...]

    def as_json(self) -> dict[str, Any]:
        """The object that `glint evaluate --json` prints: the metrics, and what they were measured on."""
        return {
            **self.metrics.model_dump(mode="json"),
            "part": self.part,
            "bundle": str(self.bundle),
            "bundle_version": self.version,
            "provider": self.provider,
            "precision": self.precision,
            "photos": str(self.photos),
            "layout": self.layout,
            "n_left_out": self.n_left_out,
            "n_seen": self.n_seen,
            "skipped": [{"file": skipped.name, "reason": skipped.reason} for skipped in self.skipped],
        }


def inspect_samples(
    inspector: Inspector, samples: Sequence[Sample], *, title: str, progress: bool
) -> list[Record]:
    """Inspect photos one by one as the service would, decoding ahead in threads.

    A photo that the service would refuse gets an `invalid` answer that gives the reason.
    """
    records = []
    prepared = work_ahead(lambda sample: _prepare(inspector, sample), samples)
    for sample, each in zip(track(samples, title, enabled=progress), prepared, strict=True):
        records.append(_record(inspector, sample, each))
    return records


def made_from(bundle: Bundle) -> set[str]:
    """Digests, of the bytes and of the pixels, of the photos that a bundle was trained or calibrated on.

    Raises:
        BundleError: when its record cannot be read.
    """
    used = [item for item in bundle.splits() if item.split in ("train", "calibration")]
    return {digest for item in used for digest in (item.sha256, item.pixels_sha256)} - {""}


def unseen_samples(bundle: Bundle, samples: Iterable[Sample]) -> list[Sample]:
    """Those that a bundle was neither trained nor calibrated on.

    Raises:
        BundleError: when its record cannot be read.
    """
    seen = made_from(bundle)
    return [sample for sample in samples if seen.isdisjoint((sample.sha256, sample.pixels_sha256))]


def evaluate_bundle(
    photos: Path,
    bundle: Path,
    *,
    device: Device,
    include_all: bool,
    progress: bool,
    precision: WantedPrecision = "auto",
    defect_rate: float = DEFECT_RATE,
) -> Evaluation:
    """Inspect a folder of labelled photos with a bundle.

    Photos that the bundle was trained or calibrated on are known by their digests, of the bytes or of the
    pixels, and left out, unless `include_all`. `defect_rate` is the share of defective parts on the line.

    Raises:
        BundleError, DeviceError, PrecisionError: when the bundle cannot be loaded as asked for.
        DatasetError: when the folder cannot be read, or holds no photo that the bundle has not seen.
    """
    inspector = Inspector.load(bundle, device, precision=precision)
    manifest = inspector.manifest
    dataset = read_dataset(photos, white_level=manifest.preprocessing.white_level, progress=progress)
    unseen = unseen_samples(inspector.bundle, dataset.samples)
    n_seen = len(dataset.samples) - len(unseen)
    chosen = list(dataset.samples) if include_all else unseen
    if not chosen:
        raise DatasetError(
            f"{photos} holds no photo to evaluate on: {n_seen} were used to train or calibrate {bundle}, "
            f"and {len(dataset.skipped)} files could not be used.",
            "Name photos that the bundle has not seen, or take all of them in with --all.",
        )
    records = inspect_samples(inspector, chosen, title="Inspecting", progress=progress)
    return Evaluation(
        metrics=summarise(records, defect_rate),
        records=tuple(records),
        bundle=bundle,
        part=manifest.part,
        version=manifest.version,
        provider=inspector.provider,
        precision=inspector.variant.precision,
        photos=photos,
        layout=dataset.layout,
        n_left_out=0 if include_all else n_seen,
        n_seen=n_seen if include_all else 0,
        skipped=tuple(dataset.skipped),
    )


def _prepare(inspector: Inspector, sample: Sample) -> Prepared | PhotoError:
    try:
        return inspector.prepare(sample.path.read_bytes())
    except PhotoError as error:
        return error
    except OSError as error:
        problem = f"{sample.path} cannot be read: {error.strerror}."
        return PhotoError("unreadable", problem, "Check the path and its permissions.")


def _record(inspector: Inspector, sample: Sample, prepared: Prepared | PhotoError) -> Record:
    share = share_of_defect(sample)
    if isinstance(prepared, PhotoError):
        return Record(sample, _refused(inspector, sample, prepared), None, share)
    outputs = inspector.run(prepared.tensor[None])[0]
    inspection = inspector.answer(prepared, outputs)
    if inspection.verdict == INVALID:
        return Record(sample, inspection, None, share)
    return Record(sample, inspection, _compact(inspector, prepared, outputs), share)


def _compact(inspector: Inspector, prepared: Prepared, outputs: Outputs) -> npt.NDArray[np.float16]:
    return np.minimum(inspector.photo_map(prepared, outputs), _FLOAT16_MAX).astype(np.float16)


def _refused(inspector: Inspector, sample: Sample, error: PhotoError) -> Inspection:
    limits = inspector.manifest.limits
    return Inspection(
        id=sample.sha256[:32],
        verdict=INVALID,
        score=None,
        needs_review=True,
        review_reasons=[error.problem],
        rules=[],
        classifier=ClassifierOpinion(probabilities={}, defect_probability=None, limit=limits.classifier),
        anomaly=AnomalyOpinion(score=None, limit=limits.anomaly),
        regions=[],
        part=inspector.manifest.part,
        bundle_version=inspector.manifest.version,
        provider=inspector.provider,
        provider_fallback=inspector.provider_fallback,
        precision=inspector.variant.precision,
        image=ImageFacts(
            width=sample.width,
            height=sample.height,
            sha256=sample.sha256,
            media_type="application/octet-stream",
            bit_depth=sample.bit_depth,
            letterboxed=False,
        ),
        timings_ms={},
    )
