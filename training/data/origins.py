"""Which photos of a data set came from reviewed inspections, by the table that the export writes."""

import csv
import logging
from pathlib import Path

ORIGINS = ".origins.csv"

log = logging.getLogger(__name__)


def reviewed_photos(root: Path) -> frozenset[str]:
    """Names, relative to `root`, of the photos that people judged in the archive; none without the table.

    The table serves for a remark alone, so one that cannot be read stops nothing.
    """
    path = (root if root.is_dir() else root.parent) / ORIGINS
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return frozenset(row["file"] for row in csv.DictReader(file))
    except FileNotFoundError:
        return frozenset()
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        log.warning("%s cannot be read (%s): photos are not counted as reviewed.", path, error)
        return frozenset()
