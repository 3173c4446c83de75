"""Learns from clean photos the template that photos are laid on, and how well a photo must fit it.

A few photos are tried as the reference; the others are registered to the one that they fit best, and their
mean takes its place, twice: it has the part's shape without one photo's grain and light.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from models.errors import DatasetError
from models.fan import Fan
from models.preprocessing import Placement
from models.registration import BESIDE, PART, Matrix, Pixels, Pose, Template, after, laid, pose_of
from models.resizing import own_part
from training.ahead import work_ahead
from training.spread import spread
from training.synthetic.surface import find_surface

# Photos that are tried as the reference, and that each is tried on.
_REFERENCES, _TRIED_ON = 5, 16
# Photos that the mean is taken of; more do not make it sharper.
_AVERAGED = 64
# A correlation that says nothing: backgrounds, empty pictures and wrong poses reach it too.
_CHANCE = 0.65
# Clean photos that lie further below the median than this many times the usual distance are strays; but not
# for less than the first, and for certain beyond the second.
_STRAY, _NEAR, _FAR = 8.0, 0.05, 0.2
# How far below the least clean photo the limit lies: defective parts must be judged, not refused.
_ROOM = 0.1
# Of the clean photos at least so many must fit, or there is no such thing as the template.
FEWEST_FITTING = 0.9
# What so many of the clean photos show is judged; over so many shorter sides it fades to the template.
_SHOWN, _FADE = 0.98, 0.05
# Angles between which no part lay are searched all the same, unless they are more than this many degrees.
_WIDE_GAP, _BESIDE = 120.0, 15.0


REMEDY = (
    "Photograph whole parts of one kind with some ground around them, at one scale and from one side, or "
    "train with --alignment free (parts that turn or move) or fixed (parts in a holder)."
)


@dataclass(frozen=True)
class LearntTemplate:
    """A template and what clean photos reach on it.

    Attributes:
        template: to lay photos on.
        lowest: the smallest correlation at which a photo counts as registered.
        fitting: share of the clean photos it was learnt from that do and show the whole part, 0..1.
        moved: how far the parts lie from where they mostly do, in pixels of the model's input: of all but
            one in ten photos no more, at half way from the middle to the nearer border.
        turned: the same in degrees.
    """

    template: Template
    lowest: float
    fitting: float
    moved: float
    turned: float


def learn_template(
    photos: npt.NDArray[np.uint8], places: Sequence[Placement] | None = None
) -> LearntTemplate:
    """Learn from clean photos, uint8 [N, H, W, 3], RGB, at the model's size; the same photos give the same.

    Args:
        places: where each photo lies in its picture; None for everywhere.

    Raises:
        DatasetError: when they do not fit on one another.
    """
    some = photos[spread(len(photos), _AVERAGED)]
    template = _best_reference(some)
    for _ in range(2):
        poses = _register(template, some)
        kept = _fitting(poses)
        if not kept.any():
            raise _unlike(0, len(some))
        template = _mean_of(some[kept], [pose for pose, keep in zip(poses, kept, strict=True) if keep])
    size = (template.weight.shape[0], template.weight.shape[1])
    places = places or [Placement(*size, 0, 0, *size, letterboxed=False)] * len(photos)
    part = find_surface(template.picture)
    whole = Template(template.picture, np.where(part, PART, BESIDE).astype(np.uint8))
    poses = list(work_ahead(lambda row: whole.register(photos[row], places[row]), range(len(photos))))
    kept = _fitting(poses)
    if kept.mean() < FEWEST_FITTING:
        raise _unlike(int(kept.sum()), len(photos))
    good = [pose for pose, keep in zip(poses, kept, strict=True) if keep]
    reached = np.array([pose.correlation for pose in good])
    least = float(reached.min())
    lowest = max(least - max(_ROOM, float(np.median(reached)) - least), _CHANCE)
    fan = fan_of([pose.angle for pose in good])
    moved, turned = _movement(good, fan, size)
    laid_at = [
        replace(place, pose=pose_of(pose.matrix))
        for place, pose, keep in zip(places, poses, kept, strict=True)
        if keep
    ]
    # Whatever photos end: the part is judged, and one that does not show it gets no verdict.
    weight = np.where(part, PART, _weight(laid_at, size)).astype(np.uint8)
    return LearntTemplate(
        Template(template.picture, weight, fan),
        lowest=math.floor(1e4 * lowest) / 1e4,
        fitting=float(kept.mean()),
        moved=moved,
        turned=turned,
    )


def fan_of(angles: Sequence[float]) -> Fan:
    """The angles to search where parts lay at these, in degrees: all, but for a wide gap."""
    found = np.sort(np.asarray(angles) % 360.0)
    gaps = np.diff(np.append(found, found[0] + 360.0))
    widest = int(gaps.argmax())
    if gaps[widest] <= _WIDE_GAP:
        return Fan()
    half = (360.0 - float(gaps[widest])) / 2
    middle = float(found[(widest + 1) % len(found)]) + half
    return Fan(middle=(middle + 180.0) % 360.0 - 180.0, half=min(180.0, half + _BESIDE))


def _best_reference(photos: Pixels) -> Template:
    tried_on = photos[spread(len(photos), _TRIED_ON)]
    best, most = None, -math.inf
    for row in spread(len(photos), _REFERENCES):
        candidate = _mean_of(photos[[row]], [Pose(np.eye(2, 3), 1.0)])
        typical = float(np.median([pose.correlation for pose in _register(candidate, tried_on)]))
        if typical > most:
            best, most = candidate, typical
    if best is None:
        raise DatasetError(
            "There is no clean training photo to learn a template from.", "Add photos to good/."
        )
    return best


def _register(template: Template, photos: Pixels) -> list[Pose]:
    return list(work_ahead(template.register, photos))


def _fitting(poses: Sequence[Pose]) -> npt.NDArray[np.bool_]:
    """Which of the poses are no strays."""
    reached = np.array([pose.correlation for pose in poses])
    middle = float(np.median(reached))
    usual = float(np.median(np.abs(reached - middle)))
    return np.asarray(reached >= max(_CHANCE, middle - min(max(_NEAR, _STRAY * usual), _FAR)))


def _mean_of(photos: Pixels, poses: Sequence[Pose]) -> Template:
    """The mean of photos that are laid on one another, with the part in its middle."""
    matrices = [pose.matrix for pose in poses]
    mean = _mean(photos, matrices)
    shift = np.eye(2, 3)
    shift[:, 2] = _middle(mean) - (np.array(mean.shape[1::-1]) - 1) / 2
    # Laid anew and not moved: nothing is interpolated twice, and the borders come from the photos.
    mean = _mean(photos, [after(matrix, shift) for matrix in matrices])
    return Template(mean, np.full(mean.shape[:2], BESIDE, np.uint8))


def _mean(photos: Pixels, matrices: Sequence[Matrix]) -> Pixels:
    total = np.zeros(photos.shape[1:], np.float64)
    for photo, matrix in zip(photos, matrices, strict=True):
        total += laid(photo, matrix)
    return np.rint(total / len(photos)).astype(np.uint8)


def _weight(places: Sequence[Placement], size: tuple[int, int]) -> Pixels:
    """What nearly all photos show, uint8 [H, W], fading towards where they end."""
    seen = sum(own_part(place, *size).astype(np.int64) for place in places)
    shown = np.asarray(seen >= _SHOWN * len(places), np.uint8)
    # Padded, since the border of the model's input is no place where photos end.
    far = cv2.distanceTransform(cv2.copyMakeBorder(shown, 1, 1, 1, 1, cv2.BORDER_REPLICATE), cv2.DIST_L2, 5)
    share = np.clip(far[1:-1, 1:-1] / (_FADE * min(size)), 0.0, 1.0)
    return np.asarray(np.rint(BESIDE * share), np.uint8)


def _middle(picture: Pixels) -> npt.NDArray[np.float64]:
    """The middle (x, y) of where a picture has edges, but for the outermost of them."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 2.0)
    steep = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(smooth, cv2.CV_32F, 0, 1) ** 2
    middles = []
    for axis in (0, 1):
        # A trace everywhere, so that a flat picture has its middle where it is.
        along = np.cumsum(steep.sum(axis=axis, dtype=np.float64) + 1e-6)
        middles.append(float(np.searchsorted(along, np.array([0.02, 0.98]) * along[-1]).mean()))
    return np.array(middles)


def _movement(poses: Sequence[Pose], fan: Fan, shape: tuple[int, ...]) -> tuple[float, float]:
    """How far parts moved, in pixels, and turned, in degrees; see `LearntTemplate`."""
    middle = (np.array(shape[::-1]) - 1) / 2
    around = middle + min(shape) / 4 * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    laid = np.array([around @ pose.matrix[:, :2].T + pose.matrix[:, 2] for pose in poses])
    off = np.linalg.norm(laid - np.median(laid, axis=0), axis=2).mean(axis=1)
    turns = np.abs((np.array([pose.angle for pose in poses]) - fan.middle + 180.0) % 360.0 - 180.0)
    return float(np.quantile(off, 0.9)), float(np.quantile(turns, 0.9))


def _unlike(fitting: int, count: int) -> DatasetError:
    return DatasetError(
        f"--alignment register: only {fitting} of {count} clean training photos can be laid on one another "
        "by turning and moving them, with the whole part in the picture.",
        REMEDY,
    )
