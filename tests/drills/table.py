"""Turns the rows that drills wrote into docs/drills.md: `python -m tests.drills.table RESULTS PAGE`."""

import json
import sys
from pathlib import Path

from tests.drills.conftest import RESULTS_FILE

_HEAD = """# Drills

Each row is a fault that a test in `tests/drills/` provokes for real, what must happen, and what did when
`make drills` ran last. In all of them no photo was answered `clean` that a healthy service would not answer
so, and each got an answer or a closed connection within its deadline and one second.

| fault | provoked how | expected | seen |
| --- | --- | --- | --- |
"""


def page(rows: list[dict[str, str]]) -> str:
    """The page; of several rows for one fault in one drill the last counts."""
    latest = {(row["drill"], row["fault"]): row for row in rows}
    columns = ("fault", "provoked", "expected", "seen")
    lines = [" | ".join(_cell(row[column]) for column in columns) for _, row in sorted(latest.items())]
    return _HEAD + "".join(f"| {line} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(results: Path, target: Path) -> None:
    """Read the rows in the folder `results` and write the page."""
    lines = (results / RESULTS_FILE).read_text(encoding="utf-8").splitlines()
    target.write_text(page([json.loads(line) for line in lines]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
