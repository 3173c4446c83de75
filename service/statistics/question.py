"""Which inspections are counted, and how: what callers say without knowing the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from service.plant_time import Unit

Dimension = Literal["part", "camera", "shift", "version"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)

# The newest inspections are counted, so that a page takes as long after years as after weeks.
MOST_READ = 200_000
# Points of a chart.
MOST_BUCKETS = 200
# Defects on the map of where they lie, and the drawings of operators among them, which take longer to read.
MOST_PLACED = 500
MOST_MASKS = 40


@dataclass(frozen=True)
class Question:
    """Which inspections are counted; None does not restrict. `since` is included, `until` is not.

    Attributes:
        camera: empty text asks for those that named no camera.
        shift: a name of `PlantTime.shift_names`.
        by: what one point of a chart stands for.
    """

    since: datetime | None = None
    until: datetime | None = None
    part: str | None = None
    camera: str | None = None
    version: str | None = None
    shift: str | None = None
    by: Unit = "day"
