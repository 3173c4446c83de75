"""The templates of the report and of other pages, with the style and the filters that they share."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from training.report.tables import between, percent


def template(name: str) -> Any:
    """A template of this folder; whatever it is given is escaped."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(percent=percent, between=between)
    environment.globals["style"] = Markup(_read("style.css").rstrip())  # noqa: S704 (a file of ours)
    return environment.from_string(_read(name))


def _read(name: str) -> str:
    return files("training.report").joinpath(name).read_text(encoding="utf-8")
