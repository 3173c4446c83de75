"""Puts the rows that drills wrote into docs/drills.md: `python -m tests.drills.table ROWS SECTION`."""

import json
import sys
from pathlib import Path

from tests.benchmarks.report import table, write_section
from tests.drills.conftest import RESULTS_FILE

COLUMNS = ("fault", "provoked", "expected", "seen")
HEADS = ("fault", "provoked how", "expected", "seen")


def table_of(rows: list[dict[str, str]]) -> str:
    """The table; of several rows for one fault in one drill the last counts."""
    latest = {(row["drill"], row["fault"]): row for row in rows}
    return table(HEADS, [[_cell(row[column]) for column in COLUMNS] for _, row in sorted(latest.items())])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(results: Path, section: str) -> None:
    """Read the rows in the folder `results` and write a section's table."""
    lines = (results / RESULTS_FILE).read_text(encoding="utf-8").splitlines()
    write_section("drills.md", section, table_of([json.loads(line) for line in lines]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
