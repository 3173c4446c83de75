"""A page is found by the filter that leaves the fewest inspections, in milliseconds among millions."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import event

from service.archive.archive import Archive
from service.archive.filters import Filters


@pytest.mark.parametrize(
    ("given", "index"),
    [
        ({"part": "a", "camera": "b", "verdict": "clean", "serial": "c", "needs_review": False}, "serial"),
        ({"part": "a", "camera": "b", "verdict": "clean", "needs_review": True}, "review"),
        ({"part": "a", "camera": "b", "verdict": "scratched"}, "verdict"),
        ({"part": "a", "camera": "b", "verdict": "clean", "needs_review": False}, "camera"),
        ({"part": "a", "verdict": "clean"}, "part"),
        ({"verdict": "clean"}, "verdict"),
        ({"needs_review": False}, "review"),
        ({}, "time"),
    ],
)
def test_sqlite_takes_the_index_of_the_narrowest_filter(
    archive: Archive, folder: Path, given: dict[str, object], index: str
) -> None:
    asked = []
    event.listen(
        archive._database._reading, "before_cursor_execute", lambda *call: asked.append((call[2], call[3]))
    )
    archive.page(Filters(**given), 10)
    ((statement, parameters),) = [query for query in asked if "ORDER BY" in query[0]]
    connection = sqlite3.connect(folder / "inspections.sqlite")
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
    connection.close()
    assert [row[-1].partition("ix_inspections_")[2].partition(" ")[0] for row in plan] == [index]
