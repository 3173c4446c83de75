"""The other forms of the served graph that a bundle gets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.inspector import Inspector
from models.manifest import Variant
from models.precision import Precision
from models.scores import file_of
from training.summary import Record
from training.variants import fp16, int8
from training.variants.attempt import attempted

NOT_ASKED_FOR = "it was not asked for (--no-int8)"
FILES: dict[Precision, str] = {"fp16": fp16.FILE, "int8": int8.FILE}


@dataclass(frozen=True)
class WrittenVariants:
    """What was written beside the fp32 graph, and why the rest was not, by precision."""

    written: dict[Precision, Variant] = field(default_factory=dict)
    left_out: dict[Precision, str] = field(default_factory=dict)

    def rehearsals(self, bundle: Bundle) -> dict[Precision, Callable[[], Inspector]]:
        """What opens an inspector that gives on this CPU what a form gives where it serves."""
        opening = {"int8": int8.int8_inspector, "fp16": fp16.acting_inspector}
        return {precision: partial(opening[precision], bundle) for precision in self.written}

    def without(self, bundle: Bundle, reasons: Mapping[Precision, str]) -> "WrittenVariants":
        """The others of them; the files of those for which there is a reason are removed."""
        for precision in reasons:
            _remove(bundle, precision, self.written[precision].file)
        kept = {precision: one for precision, one in self.written.items() if precision not in reasons}
        return WrittenVariants(written=kept, left_out={**self.left_out, **reasons})


def write_variants(
    bundle: Bundle, records: Sequence[Record], photos: npt.NDArray[np.uint8], *, with_int8: bool, seed: int
) -> WrittenVariants:
    """Write the forms that agree with fp32 on held-out photos.

    A form that cannot be made is left out as well, and leaves nothing behind.

    Args:
        bundle: the bundle in the making.
        records: held-out photos and what the fp32 graph says of them.
        photos: training photos, uint8 [N, H, W, 3] RGB at the model's size.
        with_int8: whether that form is wanted.
        seed: of the sample of training photos.
    """
    made: dict[Precision, Variant | str] = {
        "fp16": _attempt(bundle, "fp16", lambda: fp16.write_fp16(bundle, records)),
        "int8": _attempt(bundle, "int8", lambda: int8.write_int8(bundle, records, photos, seed))
        if with_int8
        else NOT_ASKED_FOR,
    }
    return WrittenVariants(
        written={name: one for name, one in made.items() if isinstance(one, Variant)},
        left_out={name: one for name, one in made.items() if isinstance(one, str)},
    )


def _attempt(bundle: Bundle, precision: Precision, write: Callable[[], Variant | str]) -> Variant | str:
    made = attempted(precision, write)
    if isinstance(made, str):
        _remove(bundle, precision, FILES[precision])
    return made


def _remove(bundle: Bundle, precision: Precision, file: str) -> None:
    for name in (file, file_of(precision)):
        (bundle.path / name).unlink(missing_ok=True)
