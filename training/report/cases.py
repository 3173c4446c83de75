"""The photos that the report shows: the worst calls, each beside its overlay."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from models.decision import CLEAN
from models.errors import DatasetError, PhotoError
from models.inspector import Inspector, Outputs
from models.resizing import resize
from training.data.samples import Sample, read_mask
from training.summary import Record

if TYPE_CHECKING:
    # It loads torch, which `glint limits` does without.
    from training.suspects import Suspect

SHOWN = 6
SHOWN_CLASSES = 4
_SIDE = 400
_QUALITY = 80


@dataclass(frozen=True)
class Case:
    """One photo as the report shows it; the pictures are data URIs, empty where they could not be made.

    Attributes:
        score: of the verdict; None for a photo without one.
        caption: the opinions against their limits.
        outlined: the marked defect is outlined in the photo.
        problem: why there are no pictures.
    """

    name: str
    label: str
    verdict: str
    score: float | None
    caption: str
    photo: str
    overlay: str
    outlined: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Gallery:
    """Some cases under a heading; `remark` says what they are, or why there are none."""

    heading: str
    remark: str
    cases: tuple[Case, ...]


def misses_gallery(inspector: Inspector, records: Sequence[Record]) -> Gallery:
    """The escapes that looked best to the inspector; without escapes, the defects it caught most narrowly."""
    escapes = _by_score([record for record in records if record.escape])
    caught = _by_score([record for record in records if record.caught])
    if escapes:
        remark = f"Defective parts that were passed: {_shown(len(escapes))}, the lowest score first."
        return _gallery(inspector, "Worst misses", remark, escapes)
    if caught:
        remark = "No defective test photo was passed. These were caught most narrowly."
        return _gallery(inspector, "Narrowest catches", remark, caught)
    return Gallery("Misses", "There is no defective test photo with a verdict to show.", ())


def false_rejects_gallery(inspector: Inspector, records: Sequence[Record]) -> Gallery:
    """The good parts rejected most firmly; without any, the good parts that came nearest to it."""
    good = [record for record in records if not record.defective and not record.invalid]
    rejected = _by_score([record for record in good if record.false_reject])[::-1]
    if rejected:
        remark = f"Good parts that were rejected: {_shown(len(rejected))}, the highest score first."
        return _gallery(inspector, "Worst false rejects", remark, rejected)
    if good:
        remark = "No good test photo was rejected for a defect. These came nearest to it."
        return _gallery(inspector, "Nearest to a false reject", remark, _by_score(good)[::-1])
    return Gallery("False rejects", "There is no good test photo with a verdict to show.", ())


def catches_gallery(inspector: Inspector, records: Sequence[Record]) -> Gallery:
    """One catch of each defect class, the one with the middle score."""
    heading = "A typical catch of each class"
    caught = _by_score([record for record in records if record.caught])
    labels = sorted({record.sample.label for record in caught})
    chosen = []
    for label in labels[:SHOWN_CLASSES]:
        own = [record for record in caught if record.sample.label == label]
        chosen.append(own[len(own) // 2])
    if not chosen:
        return Gallery(heading, "No defective test photo was caught.", ())
    more = f" {len(labels) - len(chosen)} more classes are not shown." if len(labels) > len(chosen) else ""
    return _gallery(inspector, heading, f"The catch with the middle score.{more}", chosen)


def suspects_gallery(inspector: Inspector, suspects: "Sequence[Suspect]") -> Gallery:
    """Photos that were learnt from as good and stand out among them."""
    limit = inspector.manifest.limits.anomaly
    remark = (
        f"Training photos given as good that stand out, each judged without itself: {_shown(len(suspects))}, "
        "the strangest first. If one shows a defect, move it to that defect's folder and train again."
    )
    shown = [
        Case(
            suspect.sample.name,
            CLEAN,
            "stands out",
            None,
            f"anomaly {suspect.score:.3g} (limit {limit:.3g}, median of the good ones {suspect.typical:.3g})",
            *_pictures(inspector, suspect.sample, suspect.anomaly_map),
        )
        for suspect in suspects[:SHOWN]
    ]
    return Gallery("Good photos that stand out", remark, tuple(shown))


def _shown(count: int) -> str:
    return f"{SHOWN} of {count}" if count > SHOWN else str(count)


def _by_score(records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda record: (record.inspection.score or 0.0, record.sample.name))


def _gallery(inspector: Inspector, heading: str, remark: str, records: Sequence[Record]) -> Gallery:
    return Gallery(heading, remark, tuple(_case(inspector, record) for record in records[:SHOWN]))


def _case(inspector: Inspector, record: Record) -> Case:
    sample, answer = record.sample, record.inspection
    opinions = [f"anomaly {answer.anomaly.score:.3g} (limit {answer.anomaly.limit:.3g})"]
    probability, limit = answer.classifier.defect_probability, answer.classifier.limit
    if probability is not None and limit is not None:
        opinions.append(f"defect probability {probability:.3f} (limit {limit:.3g})")
    caption = "; ".join(opinions)
    pictures = _pictures(inspector, sample)
    return Case(sample.name, sample.label, answer.verdict, answer.score or 0.0, caption, *pictures)


def _pictures(
    inspector: Inspector, sample: Sample, heat: npt.NDArray[np.float32] | None = None
) -> tuple[str, str, bool, str]:
    """Photo and overlay, whether a defect is outlined, and why there are no pictures.

    `heat` is an anomaly map, float32 [h, w], to be shown instead of what the inspector gives.
    """
    try:
        prepared = inspector.prepare(sample.path.read_bytes())
        if heat is None:
            outputs = inspector.run(prepared.tensor[None])[0]
        else:
            outputs = Outputs(np.empty(0, np.float32), heat, float(heat.max()))
        mask = mask_of(sample)
        overlay = picture(inspector.overlay(prepared, outputs))
        return picture(prepared.photo.pixels, mask), overlay, mask is not None, ""
    except (OSError, PhotoError, DatasetError):
        return "", "", False, "The photo or its mask could not be read again when this report was written."


def mask_of(sample: Sample) -> npt.NDArray[np.bool_] | None:
    """The photo's mask, bool [H, W], if it has one that marks anything.

    Raises:
        DatasetError: when it cannot be read.
    """
    if sample.mask is None:
        return None
    mask = read_mask(sample.mask, sample.height, sample.width)
    return mask if mask.any() else None


def picture(pixels: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_] | None = None) -> str:
    """A JPEG of RGB pixels [H, W, 3] as a data URI, small enough to embed; the mask is outlined."""
    shrink = min(1.0, _SIDE / max(pixels.shape[:2]))
    height = max(1, round(pixels.shape[0] * shrink))
    width = max(1, round(pixels.shape[1] * shrink))
    small = resize(pixels, height, width).copy()
    if mask is not None:
        covered = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        contours, _ = cv2.findContours(
            (covered > 0.0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(small, contours, -1, (20, 20, 20), 3, cv2.LINE_AA)
        cv2.drawContours(small, contours, -1, (255, 255, 255), 1, cv2.LINE_AA)
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    if not done:
        raise RuntimeError("a picture of the report could not be encoded as JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
