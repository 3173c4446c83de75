"""Finds how a photo lies on a template: how far the part in it was turned and moved.

First a coarse search: at a low resolution the template, turned to each of a fan of angles, is correlated with
the photo at all places at once, in the frequency domain. The most promising poses are then refined by
maximising the enhanced correlation coefficient (Evangelidis and Psarakis, IEEE Trans. PAMI 30, 2008), which
does not mind another brightness or contrast: first of the pictures, then of their edges, since a part's
shadow falls to another side of it when it is turned, and would draw it there. Nothing is drawn at random, so
a photo has one pose, whatever thread or process finds it.
"""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from models.fan import Fan
from models.preprocessing import Affine, Placement
from models.resizing import own_part

Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]
_Plane = npt.NDArray[np.float32]

# The shorter side, at least, of the pictures of the coarse search, and of those that a pose is found on.
_COARSE, _FINE = 48, 112
# Pictures are reduced to so many sixteenths, which leaves whole pixels along both sides.
_PARTS = 16
# A photo must show so much of the part: what it does not show nobody can judge.
WHOLE = 0.99
# In a template's weight: the part; and what is judged beside it.
PART, BESIDE = 255, 254
# A part may lie so far from where the template has it, in shorter sides.
_REACH = 0.3
# Poses that are refined a little to see which is the best: a part that is nearly symmetric has several.
_CANDIDATES = 3
_ROUGH = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 12, 1e-4)
_EXACT = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 1e-5)
_ROUGH_BLUR, _EXACT_BLUR = 3, 5  # pixels, of the Gaussian that evens out grain before a refinement
_INTO = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


@dataclass(frozen=True, eq=False)
class Pose:
    """How a photo lies on the template.

    Attributes:
        matrix: float64 [2, 3], a rotation and a shift: takes a point (x, y) of the template to the photo,
            both in pixels of the model's input, counted from their middles.
        correlation: of the template and the photo laid on it, -1..1; 0 where no pose was found.
    """

    matrix: Matrix
    correlation: float

    @property
    def angle(self) -> float:
        """How far the part is turned against the template, in degrees, -180..180, clockwise."""
        return math.degrees(math.atan2(self.matrix[1, 0], self.matrix[0, 0]))


NO_POSE = Pose(np.eye(2, 3), 0.0)


@dataclass(frozen=True, eq=False)
class Template:
    """What photos are laid on; safe to use from several threads.

    Attributes:
        picture: uint8 [H, W, 3], RGB: the mean of clean parts, at the model's input size.
        weight: uint8 [H, W], `PART` on the part; beside it `BESIDE` where what the photo shows is judged, and
            less where the picture stands for it, since too many photos end there.
        fan: at which angles a part is looked for.
    """

    picture: Pixels
    weight: Pixels
    fan: Fan = field(default_factory=Fan)

    def register(self, tensor: Pixels, place: Placement | None = None) -> Pose:
        """Find the pose of a photo, uint8 [H, W, 3], RGB, at the model's input size.

        `place` says where the photo lies in it; None for everywhere. A photo that does not show the part as a
        whole has a correlation of 0.
        """
        grey = np.asarray(cv2.cvtColor(tensor, cv2.COLOR_RGB2GRAY), np.uint8)
        coarse, fine = _reduced(grey, _COARSE), _reduced(grey, _FINE)
        tried = [_refined(self._coarse, coarse, start, _ROUGH, _ROUGH_BLUR) for start in self._search(coarse)]
        best = max((pose for pose in tried if pose), key=lambda pose: pose.correlation, default=None)
        if best is None:
            return NO_POSE
        start = _scaled(best.matrix, fine.shape[0] / coarse.shape[0])
        exact = _refined(_edges(self._fine), _edges(fine), start, _EXACT, _EXACT_BLUR)
        if exact is None:
            return NO_POSE
        matrix = _scaled(exact.matrix, grey.shape[0] / fine.shape[0])
        if not self._shown(matrix, place):
            return Pose(matrix, 0.0)
        return Pose(matrix, _correlation(self._fine, fine, exact.matrix))

    def _shown(self, matrix: Matrix, place: Placement | None) -> bool:
        """Whether a photo that lies so shows nearly all of the part."""
        if not self._part.any():
            return True
        height, width = self.weight.shape
        whole = place or Placement(height, width, 0, 0, height, width, letterboxed=False)
        own = own_part(replace(whole, pose=pose_of(matrix)), height, width)
        return float(own[self._part].mean()) >= WHOLE

    def lay(self, tensor: Pixels, pose: Pose) -> Pixels:
        """What the model is to see of a photo, uint8 [H, W, 3], RGB, that lies so.

        Beside the part most photos end somewhere, each elsewhere: whatever stood for the rest would look
        strange to a model that knows what belongs where. So there all of them show the template.
        """
        return np.asarray(cv2.blendLinear(laid(tensor, pose.matrix), self.picture, *self._shares), np.uint8)

    def turn_back(self, tensor: Pixels) -> Pixels:
        """What the model is to see of a photo, uint8 [H, W, 3], RGB, wherever its part lies."""
        return self.lay(tensor, self.register(tensor))

    def prepared(self) -> "Template":
        """The same, with all tables made that the first photo would wait for."""
        _ = self._shares, self._part, self._fine, self._coarse, self._search
        return self

    @cached_property
    def grey(self) -> Pixels:
        """Luma of the picture, uint8 [H, W]."""
        return np.asarray(cv2.cvtColor(self.picture, cv2.COLOR_RGB2GRAY), np.uint8)

    @cached_property
    def _shares(self) -> tuple[_Plane, _Plane]:
        share = np.minimum(self.weight.astype(np.float32) / np.float32(BESIDE), np.float32(1))
        return share, np.float32(1) - share

    @cached_property
    def _part(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.weight == PART)

    @cached_property
    def _fine(self) -> _Plane:
        return _reduced(self.grey, _FINE)

    @cached_property
    def _coarse(self) -> _Plane:
        return _reduced(self.grey, _COARSE)

    @cached_property
    def _search(self) -> "_Search":
        return _Search(self._coarse, self.fan.angles())


class _Search:
    """Correlates a small template, at all angles, with a small photo; its largest disc is what counts."""

    def __init__(self, template: _Plane, angles: list[float]) -> None:
        self._angles, self._shape = angles, template.shape
        self._reach = math.ceil(_REACH * min(template.shape))
        self._padded = tuple(cv2.getOptimalDFTSize(side + 2 * self._reach) for side in template.shape)
        height, width = template.shape
        y, x = np.mgrid[:height, :width].astype(np.float32)
        disc = np.hypot(x - (width - 1) / 2, y - (height - 1) / 2) <= min(height, width) / 2
        self._area = float(disc.sum())
        kernels = []
        for angle in angles:
            turn = _turn(angle, template.shape)
            turned = cv2.warpAffine(template, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101)
            turned = (turned - turned[disc].mean()) * disc
            kernels.append(turned / max(float(np.linalg.norm(turned)), 1e-6))
        self._kernels = self._spectrum(np.stack(kernels)).conj()
        self._disc = self._spectrum(disc.astype(np.float32)).conj()

    def __call__(self, photo: _Plane) -> list[Matrix]:
        """Poses worth refining, float64 [2, 3] from the small template to the small photo, the best first."""
        reach, (height, width) = self._reach, self._shape
        wide = np.zeros((height + 2 * reach, width + 2 * reach), np.float32)
        wide[reach : reach + height, reach : reach + width] = photo - np.median(photo)
        spectra = self._spectrum(np.stack([wide, wide * wide]))
        total, squares = self._back(spectra * self._disc)
        # Where the disc holds next to nothing, noise must not be blown up to a likeness.
        spread = np.maximum(squares - total * total / self._area, 1e-3 * max(float(squares.max()), 1.0))
        found = (self._back(spectra[0] * self._kernels) / np.sqrt(spread)).reshape(len(self._angles), -1)
        places = found.argmax(axis=1)
        peaks = found[np.arange(len(places)), places]
        # Beside a good angle lie others that are nearly as good, and the same pose.
        beside = np.maximum(np.roll(peaks, 1), np.roll(peaks, -1))
        best = [index for index in np.argsort(-peaks, kind="stable") if peaks[index] >= beside[index]]
        poses = []
        for index in best[:_CANDIDATES]:
            down, right = divmod(int(places[index]), 2 * reach + 1)
            pose = _turn(self._angles[index], self._shape)
            pose[:, 2] += (right - reach, down - reach)
            poses.append(pose)
        return poses

    def _spectrum(self, planes: _Plane) -> npt.NDArray[np.complex64]:
        return np.fft.rfft2(planes, self._padded).astype(np.complex64)

    def _back(self, spectra: npt.NDArray[np.complex64]) -> _Plane:
        """The correlation at shifts of up to the reach either way, [N, 2 * reach + 1, 2 * reach + 1]."""
        side = 2 * self._reach + 1
        return np.asarray(np.fft.irfft2(spectra, self._padded)[..., :side, :side], np.float32)


def laid(tensor: Pixels, matrix: Matrix) -> Pixels:
    """Turn and move a photo, uint8 [H, W, 3], to the template's place; its edge is repeated outwards."""
    size = (tensor.shape[1], tensor.shape[0])
    return np.asarray(
        cv2.warpAffine(tensor, matrix, size, flags=_INTO, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def pose_of(matrix: Matrix) -> Affine:
    """A pose row by row, as a `Placement` has it."""
    first, second, third, fourth, fifth, sixth = matrix.ravel().tolist()
    return first, second, third, fourth, fifth, sixth


def after(outer: Matrix, inner: Matrix) -> Matrix:
    """The pose that takes a point to where `outer` takes what `inner` made of it."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def _refined(
    template: _Plane, photo: _Plane, start: Matrix, until: tuple[int, int, float], blur: int
) -> Pose | None:
    """Improve a pose; None where that does not converge."""
    size = (template.shape[1], template.shape[0])
    # OpenCV keeps the angle as an arcsine, which ends at 90 degrees: it gets what is left to turn.
    laid = cv2.warpAffine(photo, start, size, flags=_INTO, borderMode=cv2.BORDER_REFLECT_101)
    inside = cv2.warpAffine(np.full(photo.shape, 255, np.uint8), start, size, flags=_INTO)
    rest = np.eye(2, 3, dtype=np.float32)
    try:
        found, more = cv2.findTransformECC(template, laid, rest, cv2.MOTION_EUCLIDEAN, until, inside, blur)
    except cv2.error:
        return None
    pose = after(start, np.asarray(more, np.float64))
    return Pose(pose, float(found)) if math.isfinite(found) else None


def _edges(grey: _Plane) -> _Plane:
    """The root of how steep brightness is: an edge counts for being there, more than for its contrast."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    return np.asarray(np.sqrt(cv2.magnitude(across, down)), np.float32)


def _correlation(template: _Plane, photo: _Plane, matrix: Matrix) -> float:
    """Of the template and a photo laid on it, where there is photo; 0 where one of them is flat."""
    size = (template.shape[1], template.shape[0])
    laid = cv2.warpAffine(photo, matrix, size, flags=_INTO, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones(photo.shape, np.uint8), matrix, size, flags=_INTO) > 0
    one, other = (plane[inside].astype(np.float64) for plane in (template, laid))
    if min(one.size, other.size) < 2:
        return 0.0
    one, other = one - one.mean(), other - other.mean()
    norm = math.sqrt(float((one * one).sum()) * float((other * other).sum()))
    return float((one * other).sum()) / norm if norm > 0.0 else 0.0


def _turn(angle: float, shape: tuple[int, ...]) -> Matrix:
    """A turn about the middle of a picture."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    rotation, middle = np.array([[cos, -sin], [sin, cos]]), np.array([shape[1] - 1, shape[0] - 1]) / 2
    return np.column_stack([rotation, middle - rotation @ middle])


def _reduced(grey: Pixels, side: int) -> _Plane:
    """The picture as float32, its shorter side about `side` pixels unless it is smaller."""
    sixteenths = min(_PARTS, math.ceil(_PARTS * side / min(grey.shape)))
    size = (max(1, grey.shape[1] * sixteenths // _PARTS), max(1, grey.shape[0] * sixteenths // _PARTS))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)


def _scaled(matrix: Matrix, factor: float) -> Matrix:
    """The same pose where pictures are `factor` times as large; pixels are counted from their middles."""
    rotation, off = matrix[:, :2], np.full(2, 0.5 * (factor - 1.0))
    return np.column_stack([rotation, factor * matrix[:, 2] + off - rotation @ off])
