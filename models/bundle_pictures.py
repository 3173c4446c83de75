"""The pictures that a bundle holds at the model's input size."""

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.errors import BundleError

_READ = {3: (cv2.IMREAD_COLOR, cv2.COLOR_BGR2RGB), 4: (cv2.IMREAD_UNCHANGED, cv2.COLOR_BGRA2RGBA)}


def read_picture(bundle: Bundle, file: str, channels: Literal[3, 4]) -> npt.NDArray[np.uint8]:
    """A picture of a bundle: uint8 [height, width, channels], RGB or RGBA.

    Raises:
        BundleError: when it cannot be read, was altered, or has another size.
    """
    flag, order = _READ[channels]
    data = np.frombuffer(bundle.read(file), np.uint8)
    found = cv2.imdecode(data, flag) if data.size else None
    height, width = bundle.manifest.preprocessing.size
    if found is None or found.shape != (height, width, channels) or found.dtype != np.uint8:
        kind = " with a weight" if channels == 4 else ""
        raise BundleError(
            f"{bundle.path / file} is no picture of {width} x {height} pixels{kind}.",
            "Copy the bundle again from where it was made, or train it again with `glint train`.",
        )
    return np.asarray(cv2.cvtColor(found, order), np.uint8)
