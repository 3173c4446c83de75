"""The heatmap overlay: one fixed scale per bundle, colour only near and above the limit."""

import cv2
import numpy as np
import numpy.typing as npt

from models.formats import OverlayFormat
from models.manifest import HeatmapScale
from models.resizing import resize

MAX_SIDE = 1024
LARGEST_OPACITY = 0.62

# The upper part of `plasma`, purple to yellow: its brightness rises all the way, so that it can be read
# without telling red from green.
_PLASMA = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_PLASMA)[:, 0, ::-1]
_COLOURS = np.ascontiguousarray(_PLASMA[64:])


def heat_colours() -> list[str]:
    """The colours of the heat from `scale.start` to `scale.top`, as hexadecimal RGB: `2a0593`."""
    return [bytes(colour).hex() for colour in _COLOURS]


def draw_overlay(
    pixels: npt.NDArray[np.uint8], photo_map: npt.NDArray[np.float32], scale: HeatmapScale
) -> npt.NDArray[np.uint8]:
    """Lay the heat over the photo.

    Heat fades in from `scale.start` to `scale.limit` and runs through the colour map up to `scale.top`,
    never so dense that the photo is hidden; the limit is drawn as a white contour with a dark edge. Where
    the map stays below `scale.start` the photo is left as it is, which also holds for a defect that the
    classifier alone found.

    Args:
        pixels: the photo, uint8 [H, W, 3], RGB.
        photo_map: float32 [h, w] over the photo, any resolution.
        scale: the bundle's fixed scale.

    Returns:
        uint8 [H', W', 3], RGB, at the photo's aspect, the longer side at most `MAX_SIDE` pixels. Read it
        only: it may be `pixels` itself.
    """
    shrink = min(1.0, MAX_SIDE / max(pixels.shape[:2]))
    height = max(1, round(pixels.shape[0] * shrink))
    width = max(1, round(pixels.shape[1] * shrink))
    picture = _shrunk(pixels, height, width)
    capped = np.minimum(photo_map, np.float32(scale.top))
    heat = np.asarray(cv2.resize(capped, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    # On a photo smaller than the map the peak could fall between two pixels, and its contour with it.
    heat.flat[int(heat.argmax())] = min(float(photo_map.max()), scale.top)
    if float(heat.max()) < scale.start:
        return np.ascontiguousarray(picture)

    drawn = picture.copy()
    _lay_over(drawn, heat, scale)
    mask = (heat >= scale.limit).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    line = 1 if max(height, width) < 512 else 2
    cv2.drawContours(drawn, contours, -1, (20, 20, 20), line + 2, cv2.LINE_AA)
    cv2.drawContours(drawn, contours, -1, (255, 255, 255), line, cv2.LINE_AA)
    return drawn


def _shrunk(pixels: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Halve the picture as often as it goes, then interpolate between pixels.

    It is for looking at: means over other than 2 x 2 pixels take OpenCV ten times as long.
    """
    while pixels.shape[0] >= 2 * height and pixels.shape[1] >= 2 * width:
        pixels = resize(pixels, pixels.shape[0] // 2, pixels.shape[1] // 2)
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _lay_over(picture: npt.NDArray[np.uint8], heat: npt.NDArray[np.float32], scale: HeatmapScale) -> None:
    """Blend colour into the picture, in place, where there is heat."""
    span = max(scale.top - scale.start, 1e-9)
    levels = cv2.convertScaleAbs(np.maximum(heat - scale.start, 0.0), alpha=255 / span)
    left, top, width, height = cv2.boundingRect(levels)
    window = np.s_[top : top + height, left : left + width]
    if not levels[window].size:
        return
    kept, colours = (cv2.applyColorMap(levels[window], table) for table in _tables(scale, span))
    picture[window] = cv2.add(cv2.multiply(picture[window], kept, scale=1 / 255), colours)


def _tables(scale: HeatmapScale, span: float) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """By level of heat from `scale.start` to `scale.top`: what is kept of the photo, and the colour to add.

    Both uint8 [256, 1, 3]. A look-up costs a twentieth of what blending in floats does.
    """
    level = np.linspace(0.0, 1.0, 256)[:, None]
    fade = np.clip(level * span / max(scale.limit - scale.start, 1e-9), 0.0, 1.0)
    opacity = LARGEST_OPACITY * fade * (0.5 + 0.5 * level)
    colours = _COLOURS[(level[:, 0] * (len(_COLOURS) - 1)).astype(np.intp)]
    kept = np.repeat(np.rint(255 * (1.0 - opacity)), 3, axis=1)
    return kept.astype(np.uint8)[:, None], np.rint(opacity * colours).astype(np.uint8)[:, None]


def encode_picture(pixels: npt.NDArray[np.uint8], form: OverlayFormat = "jpeg") -> bytes:
    """Encode uint8 RGB [H, W, 3] as JPEG (quality 88) or PNG."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, 88] if form == "jpeg" else [cv2.IMWRITE_PNG_COMPRESSION, 3]
    done, data = cv2.imencode(f".{form}", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), settings)
    if not done:
        raise RuntimeError(f"the overlay could not be encoded as {form}")
    return data.tobytes()
