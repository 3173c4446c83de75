"""`--alignment register` beside the other methods of `moving_parts`: photos laid on a template."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import DatasetError
from models.registration import Pose, Template
from training.movement import MOST_LAID, lies_still
from training.spread import spread
from training.template import LearntTemplate, learn_template

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Registered:
    """Photos laid on a template that was learnt from the first of them.

    Attributes:
        laid: the photos as the model sees them, in the order given.
        refused: of how many of each the correlation is too low for a verdict.
        ms: a photo takes to be registered, in one thread, median.
        still: why `auto` would not try it; empty if it would.
    """

    learnt: LearntTemplate
    laid: list[Images]
    refused: list[int]
    ms: float
    still: str

    def of(self, photos: list[Images]) -> list[Images]:
        """Other photos, laid on the same template."""
        return [self.learnt.template.turn_back(photo) for photo in photos]


def register_all(images: list[Images], stride: int) -> Registered | str:
    """Learn from the first of some sets of photos and lay all on the template; why not, if they cannot be."""
    good = images[0]
    try:
        learnt = learn_template(good)
        still = lies_still(good[spread(len(good), MOST_LAID)], stride)
    except DatasetError as error:
        return error.problem
    took: list[float] = []
    laid, refused = [], []
    for photos in images:
        poses = [_timed(learnt.template, photo, took) for photo in photos]
        refused.append(sum(pose.correlation < learnt.lowest for pose in poses))
        laid.append(np.stack([learnt.template.lay(p, pose) for p, pose in zip(photos, poses, strict=True)]))
    return Registered(learnt, laid, refused, 1e3 * float(np.median(took)), still)


def fit_of(found: dict[str, Any]) -> list[str]:
    """What the table says of a run: how far photos are off, who is refused, and what it costs."""
    if "why" in found:
        return ["cannot be laid on one another", "", "", "", ""]
    _, good, bad = found["refused"]
    return [f"{found['moved']:.1f}", f"{found['turned']:.0f}", str(good), str(bad), f"{found['ms']:.1f}"]


def _timed(template: Template, photo: Images, took: list[float]) -> Pose:
    started = time.perf_counter()
    pose = template.register(photo)
    took.append(time.perf_counter() - started)
    return pose
