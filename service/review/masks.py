"""Masks that people draw: read with care, kept as one channel at the photo's size."""

import io

import numpy as np
from PIL import Image

from service.errors import RequestError

_OPAQUE = 128


def read_mask(data: bytes, width: int, height: int) -> bytes:
    """Turn the drawing of a browser into the mask that is kept.

    Args:
        data: a PNG. With transparency, what is mostly opaque is the defect; without, what is bright.
        width, height: of the upright photo, in pixels.

    Returns:
        A PNG of one channel, 8 bits: 255 on the defect, 0 elsewhere.

    Raises:
        RequestError: `bad_mask`, when it is no PNG, has another size, or marks nothing.
    """
    remedy = f"Send a PNG of {width} x {height} pixels with the defect opaque or white."
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if picture.size != (width, height):
                size = f"{picture.width} x {picture.height}"
                raise RequestError("bad_mask", f"The mask is {size}, its photo {width} x {height}.", remedy)
            transparent = "A" in picture.mode or "transparency" in picture.info
            channel = picture.convert("RGBA").getchannel("A") if transparent else picture.convert("L")
            marked = np.asarray(channel) >= _OPAQUE
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RequestError("bad_mask", "The mask cannot be read as a PNG.", remedy) from error
    if not marked.any():
        raise RequestError("bad_mask", "The mask marks nothing.", "Mark the defect, or send no mask.")
    return _encode(marked)


def _encode(marked: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> bytes:
    file = io.BytesIO()
    Image.fromarray(marked.astype(np.uint8) * 255).save(file, "PNG", optimize=False)
    return file.getvalue()
