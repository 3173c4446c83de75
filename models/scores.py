"""The scores that a bundle keeps of its held-out photos, so that limits can be chosen again without them.

`scores/fp32.json` holds every calibration and test photo; `scores/<precision>.json` what another graph gave
for those on which it was compared.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from models.bundle import Bundle
from models.errors import BundleError
from models.precision import Precision

SCORES = "scores"
KEPT: Precision = "fp32"


class GraphScores(BaseModel):
    """What a graph gave for a photo, without loss.

    Attributes:
        sha256: of the photo's bytes.
        anomaly: the anomaly score, >= 0; None where the photo got no scores.
        probabilities: one a class, in the manifest's order; empty where the photo got no scores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    anomaly: float | None
    probabilities: list[float]


class PhotoScores(GraphScores):
    """The same of fp32, with what is known of the photo.

    Attributes:
        file: its name in the data set.
        label: its true class.
        refusal: why it got no verdict, whatever the limits are; empty for one that is judged.
        defect_share: how much of the photo its mask marks, 0..1; None without a mask.
    """

    file: str
    label: str
    split: Literal["calibration", "test"]
    refusal: str = ""
    defect_share: float | None = None


_Scores = TypeVar("_Scores", bound=GraphScores)


def file_of(precision: Precision) -> str:
    """The name, relative to the bundle, of the file that holds the scores of a graph."""
    return f"{SCORES}/{precision}.json"


def write_scores(folder: Path, precision: Precision, scores: Sequence[GraphScores]) -> None:
    """Write what a graph gave into the bundle in the making at `folder`."""
    path = folder / file_of(precision)
    path.parent.mkdir(exist_ok=True)
    lines = (json.dumps(each.model_dump(), allow_nan=False) for each in scores)
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="ascii")


def read_photo_scores(bundle: Bundle) -> list[PhotoScores]:
    """The scores of a bundle's calibration and test photos.

    Raises:
        BundleError: when the bundle holds none, since an older Glint made it, or they cannot be read.
    """
    if file_of(KEPT) not in bundle.manifest.files:
        raise BundleError(
            f"{bundle.path} holds no scores of its calibration photos: it was made before Glint kept them.",
            "Train it again with `glint train`; what is trained from now on keeps them.",
        )
    return _read(bundle, KEPT, PhotoScores)


def read_graph_scores(bundle: Bundle, precision: Precision) -> list[GraphScores]:
    """What another graph of the bundle gave; empty where nothing was kept.

    Raises:
        BundleError: when the file cannot be read.
    """
    if file_of(precision) not in bundle.manifest.files:
        return []
    return _read(bundle, precision, GraphScores)


def _read(bundle: Bundle, precision: Precision, kind: type[_Scores]) -> list[_Scores]:
    path = bundle.file(file_of(precision))
    try:
        return [kind.model_validate(each) for each in json.loads(path.read_bytes())]
    except (OSError, ValueError, TypeError) as error:
        raise BundleError(
            f"{path} cannot be read: {error}.", "Copy the bundle again from where it was made."
        ) from error
