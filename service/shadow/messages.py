"""What the service and the candidate's process say to each other.

The first line of the process's stdin is an `Assignment`; photos follow, each as its length (8 bytes, big
endian) and its bytes. The first line of its stdout is a `Ready`, then comes a `Reply` for each photo.
"""

import struct
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import BaseModel, ConfigDict

from models.cuda.options import CudaSettings
from models.formats import PhotoLimits
from models.precision import WantedPrecision

_LENGTH = struct.Struct(">Q")


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class Assignment(_Message):
    """Which bundle is to judge, and how; `canary_seconds` lie between two looks at its golden photos."""

    bundle: Path
    device: Literal["auto", "cpu", "cuda"]
    precision: WantedPrecision
    cuda: CudaSettings
    limits: PhotoLimits
    canary_seconds: float


class Ready(_Message):
    """The candidate is loaded and proved; or `problem` says why it is not."""

    problem: str = ""
    provider: str = ""
    precision: str = ""


class Opinion(_Message):
    """What the candidate says of a photo; the fields are those of an inspection."""

    verdict: str
    score: float | None = None
    anomaly_score: float | None = None
    defect_probability: float | None = None
    needs_review: bool = True


class Reply(_Message):
    """An opinion, or why there is none; `untrusted` if there will be none any more."""

    opinion: Opinion | None = None
    fault: str = ""
    untrusted: bool = False


def framed(photo: bytes) -> bytes:
    """A photo as it is sent."""
    return _LENGTH.pack(len(photo)) + photo


def receive_photo(stream: BinaryIO) -> bytes | None:
    """Read a photo; None when there are no more, even if the last one was cut off."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(head)
    photo = stream.read(size)
    return photo if len(photo) == size else None
