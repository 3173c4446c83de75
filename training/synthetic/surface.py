"""Where on a photo the part is, so that no defect is painted beside it."""

import cv2
import numpy as np
import numpy.typing as npt

from training.rendering.defects import Mask

# Otsu's two sides explain at least this share of the variance where a part lies on a ground. On photos of
# nuts and of rendered brackets they explain 0.88 to 0.93; on those of tiles and ball screws, which the part
# fills, 0.57 to 0.78.
_TWO_SIDES = 0.83

# Of a photo's border, at least this share is ground; of the photo, the part takes so much at least and most.
_BORDER = 0.8
_SHARES = (0.05, 0.95)


def find_surface(pixels: npt.NDArray[np.uint8]) -> Mask:
    """The part's surface, bool [H, W]; the whole photo where no ground stands out from it.

    A pixel belongs to the part when its colour is far from that of the photo's border: Otsu's threshold
    (1979) on the root of the distance in Lab, which keeps a part's own lights and shadows together.
    Holes through which the ground is seen are no surface.

    Args:
        pixels: uint8 [H, W, 3], RGB.
    """
    height, width = pixels.shape[:2]
    unit = min(height, width)
    smooth = cv2.GaussianBlur(pixels, (0, 0), max(0.8, 0.008 * unit))
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).astype(np.float32)
    rim = np.ones((height, width), dtype=bool)
    thickness = max(1, unit // 50)
    rim[thickness:-thickness, thickness:-thickness] = False
    distance = np.sqrt(np.linalg.norm(lab - np.median(lab[rim], axis=0), axis=2))
    levels = np.rint(distance * (255.0 / max(1.0, float(distance.max())))).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    far = levels > threshold
    stands_out = _explained(levels, far) >= _TWO_SIDES and (~far)[rim].mean() >= _BORDER
    # Dark grain on the part is closed, specks on the ground are opened away.
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    closed = cv2.morphologyEx(far.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    part = np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, kernel) > 0)
    if stands_out and _SHARES[0] <= part.mean() <= _SHARES[1]:
        return part
    return np.ones((height, width), dtype=bool)


def _explained(levels: npt.NDArray[np.uint8], far: Mask) -> float:
    """The share of the variance that lies between the two sides."""
    total, share = float(levels.var()), float(far.mean())
    if total == 0 or share in (0.0, 1.0):
        return 0.0
    apart = float(levels[far].mean()) - float(levels[~far].mean())
    return share * (1 - share) * apart**2 / total
