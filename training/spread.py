"""A few of many, evenly."""

import numpy as np
import numpy.typing as npt


def spread(count: int, most: int) -> npt.NDArray[np.intp]:
    """At most `most` of the rows 0 to `count - 1`, from the first to the last in even steps."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.intp)
