"""Keeping the scores of held-out photos in a bundle, and judging those photos again by other limits."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from models.answer import ImageFacts, Inspection, inspection_of
from models.bundle import Bundle
from models.decision import CLEAN, INVALID, Decision, Limits, decide, invalid
from models.manifest import Manifest
from models.scores import GraphScores, PhotoScores
from training.data.samples import Sample
from training.limits import HeldOutScores
from training.summary import Record


def scores_of(records: Mapping[str, Sequence[Record]]) -> list[PhotoScores]:
    """What is kept of the inspected photos of the splits `calibration` and `test`."""
    return [
        PhotoScores(
            **graph_scores(record.sample.sha256, record.inspection).model_dump(),
            file=_readable(record.sample.name),
            label=record.sample.label,
            split="calibration" if split == "calibration" else "test",
            refusal=_readable("; ".join(record.inspection.review_reasons)) if record.invalid else "",
            defect_share=record.defect_share,
        )
        for split in ("calibration", "test")
        for record in records.get(split, ())
    ]


def graph_scores(sha256: str, inspection: Inspection) -> GraphScores:
    """The raw scores of an answer; none if it is `invalid`."""
    return GraphScores(
        sha256=sha256,
        anomaly=inspection.anomaly.score,
        probabilities=list(inspection.classifier.probabilities.values()),
    )


def held_out(
    photos: Iterable[PhotoScores], classes: Sequence[str], groups: Mapping[str, str]
) -> HeldOutScores:
    """The calibration photos among these, as limits are chosen on them; those without scores are left out.

    `groups` has that of each photo by its sha256; where it is not known, photos stand alone.
    """
    seen = [(p, p.anomaly) for p in photos if p.split == "calibration"]
    scored = [(photo, anomaly) for photo, anomaly in seen if anomaly is not None]
    defect = [min(1.0, max(0.0, 1.0 - photo.probabilities[0])) for photo, _ in scored]
    return HeldOutScores(
        anomaly=np.array([anomaly for _, anomaly in scored], dtype=np.float64),
        defect_probability=np.array(defect, dtype=np.float64) if len(classes) > 1 else None,
        defective=np.array([photo.label != CLEAN for photo, _ in scored], dtype=bool),
        names=tuple(photo.file for photo, _ in scored),
        groups=tuple(groups.get(photo.sha256, photo.sha256) for photo, _ in scored),
    )


def judge(scores: GraphScores, classes: Sequence[str], limits: Limits, refusal: str = "") -> Decision:
    """The verdict on recorded scores."""
    if refusal or scores.anomaly is None:
        return invalid([refusal or "no scores were recorded"])
    return decide(scores.probabilities, classes, scores.anomaly, limits)


def groups_of(bundle: Bundle) -> dict[str, str]:
    """The groups of a bundle's photos by sha256.

    Raises:
        BundleError: when its record of them cannot be read.
    """
    return {record.sha256: record.group for record in bundle.splits() if record.group}


def records_of(
    photos: Iterable[PhotoScores], manifest: Manifest, limits: Limits, groups: Mapping[str, str]
) -> dict[str, list[Record]]:
    """Records of the splits `calibration` and `test` as they would be with these limits.

    They hold neither photos nor maps: what is counted in pixels cannot be had of them.
    """
    records: dict[str, list[Record]] = {"calibration": [], "test": []}
    for photo in photos:
        group = groups.get(photo.sha256, "")
        sample = Sample(
            Path(photo.file), photo.file, photo.label, photo.sha256, height=0, width=0, group=group
        )
        inspection = _inspection(
            photo, judge(photo, manifest.classes, limits, photo.refusal), manifest, limits
        )
        records[photo.split].append(Record(sample, inspection, None, photo.defect_share))
    return records


def _inspection(photo: PhotoScores, decision: Decision, manifest: Manifest, limits: Limits) -> Inspection:
    known = decision.verdict != INVALID
    probabilities = dict(zip(manifest.classes, photo.probabilities, strict=True)) if known else {}
    return inspection_of(
        decision,
        limits,
        probabilities,
        photo.anomaly if known else None,
        id=photo.sha256[:32],
        regions=[],
        part=manifest.part,
        bundle_version=manifest.version,
        provider="recorded scores",
        image=ImageFacts(
            width=0,
            height=0,
            sha256=photo.sha256,
            media_type="application/octet-stream",
            bit_depth=8,
            letterboxed=False,
        ),
        timings_ms={},
    )


def _readable(text: str) -> str:
    """File names may hold bytes that are no UTF-8; a question mark stands for them."""
    return text.encode("utf-8", "replace").decode("utf-8")
