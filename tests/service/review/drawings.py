"""Masks as a browser sends them."""

import cv2
import numpy as np

from tests.tiny_bundle import PHOTO_SIZE


def drawing(size: tuple[int, int] = PHOTO_SIZE) -> bytes:
    """What a browser sends: a PNG with transparency, opaque where the defect was marked."""
    picture = np.zeros((*size, 4), dtype=np.uint8)
    cv2.rectangle(picture, (40, 50), (59, 79), (255, 255, 255, 255), cv2.FILLED)
    return encode_with_alpha(picture)


def encode_with_alpha(picture: np.ndarray) -> bytes:
    """A PNG of uint8 [H, W, 4]."""
    done, data = cv2.imencode(".png", picture)
    assert done
    return data.tobytes()
