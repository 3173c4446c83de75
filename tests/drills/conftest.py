"""What every drill shares: a row in the table of drills."""

import json
import os
from pathlib import Path
from typing import Protocol

import pytest

from tests.service.archive.conftest import make_entry as make_entry

RESULTS = "GLINT_DRILL_RESULTS"
RESULTS_FILE = "drills.jsonl"


class DrillRecord(Protocol):
    """Writes down what a drill saw; call it last, after all that is asserted."""

    def __call__(self, *, fault: str, provoked: str, expected: str, seen: str) -> None:
        """Add a row: the fault, how it was provoked, what must happen, and what did, with figures."""
        ...


@pytest.fixture
def drill_record(request: pytest.FixtureRequest) -> DrillRecord:
    """Append a row to `drills.jsonl` in the folder named by GLINT_DRILL_RESULTS; does nothing without it."""

    def record(*, fault: str, provoked: str, expected: str, seen: str) -> None:
        folder = os.environ.get(RESULTS)
        if not folder:
            return
        row = {"fault": fault, "provoked": provoked, "expected": expected, "seen": seen}
        Path(folder).mkdir(parents=True, exist_ok=True)
        with (Path(folder) / RESULTS_FILE).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"drill": request.node.nodeid, **row}) + "\n")

    return record
