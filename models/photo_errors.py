"""What can be wrong with a photo, in words, and the one net under the decoders."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import PhotoError


@contextmanager
def decoding() -> Iterator[None]:
    """Turn whatever a decoder raises into `truncated`, and keep its warnings quiet.

    Damaged files make decoders raise nearly anything (KeyError and TypeError from EXIF, for example),
    so no list of exceptions is safe.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (PhotoError, MemoryError):
        raise
    except Exception as error:
        raise truncated() from error


def truncated() -> PhotoError:
    """Something is missing from the file, or was altered."""
    return PhotoError(
        "truncated",
        "The photo is truncated or damaged, or stored in a way that is not read.",
        "Send the whole file, unchanged; if it is whole, save it as PNG or JPEG.",
    )


def transparent() -> PhotoError:
    """What lies behind the part is not known, so nothing may be put there."""
    return PhotoError(
        "transparent",
        "The photo has transparent pixels, and what lies behind them is not known.",
        "Save it without an alpha channel.",
    )


def colour_mode(problem: str) -> PhotoError:
    """The pixels are no plain grey or RGB of 8 or 16 bits."""
    return PhotoError("colour_mode", problem, "Save it as 8-bit or 16-bit grey or RGB.")


def too_many_pixels(size: str, max_pixels: int) -> PhotoError:
    """The header promises more than may be decoded."""
    return PhotoError(
        "too_many_pixels",
        f"The photo is {size}; at most {max_pixels:,} pixels are taken.",
        "Reduce it, or crop it to the part.",
    )
