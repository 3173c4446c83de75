"""The templates of the report, with the filters that they share."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from training.report.tables import between, percent


def template(name: str) -> Any:
    """A template of this folder; whatever it is given is escaped."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(percent=percent, between=between)
    return environment.from_string(files("training.report").joinpath(name).read_text(encoding="utf-8"))
