"""Writes inspections into one CSV or Parquet file, page by page, whatever their number."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol

from models.errors import UsageError
from models.files import replacing
from service.archive.database import Database
from service.archive.filters import Cursor, Filters
from service.archive.queries import page
from service.archive.records import Record

ExportFormat = Literal["csv", "parquet"]
PAGE = 1000
# The whole answers would make a table of photos a file of gigabytes; `GET /inspections/{id}` has them.
COLUMNS = tuple(name for name in Record.__dataclass_fields__ if name not in ("answer", "request_key"))


class _Sheet(Protocol):
    def add(self, rows: list[dict[str, Any]]) -> None: ...

    def close(self) -> None: ...


def export(
    database: Database,
    filters: Filters,
    output: Path,
    form: ExportFormat,
    progress: Callable[[int], None],
) -> int:
    """Write the inspections that pass the filters, newest first; how many there were.

    The file appears under its name once it is whole.

    Args:
        progress: called with the number of rows of every page written.

    Raises:
        ArchiveUnavailableError: when the database cannot be read.
        UsageError: when Parquet is asked for and its library is not installed.
    """
    count = 0
    with replacing(output) as partial:
        sheet: _Sheet = _CsvSheet(partial) if form == "csv" else _ParquetSheet(partial)
        try:
            for records in _pages(database, filters):
                sheet.add([_row(record) for record in records])
                count += len(records)
                progress(len(records))
        finally:
            sheet.close()
    return count


def _pages(database: Database, filters: Filters) -> Iterator[list[Record]]:
    after: Cursor | None = None
    while True:
        with database.reading() as connection:
            records, after = page(connection, filters, PAGE, after)
        if records:
            yield records
        if after is None:
            return


def _row(record: Record) -> dict[str, Any]:
    values = asdict(record)
    return {name: values[name] for name in COLUMNS}


class _CsvSheet:
    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._file, COLUMNS)
        self._writer.writeheader()

    def add(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            self._writer.writerow({**row, "time": row["time"].isoformat()})

    def close(self) -> None:
        self._file.close()


class _ParquetSheet:
    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            raise UsageError(
                "Parquet needs a library that is not installed.",
                "Install it with: pip install 'glint-inspection[parquet]', or use --format csv.",
            ) from error
        kinds = {
            "time": pa.timestamp("us", tz="UTC"),
            "needs_review": pa.bool_(),
            "image_bytes": pa.int64(),
            **dict.fromkeys(("score", "anomaly_score", "anomaly_limit"), pa.float64()),
            **dict.fromkeys(("defect_probability", "classifier_limit"), pa.float64()),
        }
        self._schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
        self._table = pa.Table
        self._writer = parquet.ParquetWriter(path, self._schema)

    def add(self, rows: list[dict[str, Any]]) -> None:
        self._writer.write_table(self._table.from_pylist(rows, schema=self._schema))

    def close(self) -> None:
        self._writer.close()
