"""The templates of the report and of other pages, with the filters that they share."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from training.report.tables import between, percent


def template(name: str) -> Any:
    """A template of this folder; whatever it is given is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Sections are included line by line, so that each ends with its line's end.
        keep_trailing_newline=True,
    )
    environment.filters.update(percent=percent, between=between)
    return environment.get_template(name)
