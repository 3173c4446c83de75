"""The other forms of the served graph that a bundle gets."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.inspector import Inspector
from models.manifest import Variant
from models.precision import Precision
from models.session import open_session
from models.variants import Choice
from training.summary import Record
from training.variants.fp16 import write_fp16
from training.variants.int8 import write_int8

NOT_ASKED_FOR = "it was not asked for (--no-int8)"


@dataclass(frozen=True)
class WrittenVariants:
    """What was written beside the fp32 graph, and why the rest was not, by precision."""

    written: dict[Precision, Variant] = field(default_factory=dict)
    left_out: dict[Precision, str] = field(default_factory=dict)

    def run_on_cpu(self, bundle: Bundle) -> list[Inspector]:
        """Inspectors with those that serve on CPUs: what they give for golden photos is recorded as well."""
        if "int8" not in self.written:
            return []
        choice = Choice("int8", self.written["int8"].file, "its golden photos are being recorded")
        return [Inspector(bundle, open_session(bundle.path / choice.file, "cpu"), choice)]


def write_variants(
    bundle: Bundle, records: Sequence[Record], photos: npt.NDArray[np.uint8], *, int8: bool, seed: int
) -> WrittenVariants:
    """Write the forms that agree with fp32 on held-out photos.

    Args:
        bundle: the bundle in the making.
        records: held-out photos and what the fp32 graph says of them.
        photos: training photos, uint8 [N, H, W, 3] RGB at the model's size.
        int8: whether that form is wanted.
        seed: of the sample of training photos.
    """
    made: dict[Precision, Variant | str] = {
        "fp16": write_fp16(bundle, records),
        "int8": write_int8(bundle, records, photos, seed) if int8 else NOT_ASKED_FOR,
    }
    return WrittenVariants(
        written={name: one for name, one in made.items() if isinstance(one, Variant)},
        left_out={name: one for name, one in made.items() if isinstance(one, str)},
    )
