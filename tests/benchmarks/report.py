"""Writes a benchmark's table into its section of a page under docs/."""

from collections.abc import Sequence
from pathlib import Path

from models.machine import describe_machine

DOCS = Path(__file__).resolve().parents[2] / "docs"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """The machine in a few words, without its name."""
    return describe_machine()


def write_section(page: str, name: str, text: str) -> None:
    """Replace section `name` of docs/`page`, which stands between marks; append it if it is not there."""
    path = DOCS / page
    begin, end = f"<!-- {name}: written by its benchmark -->", f"<!-- end of {name} -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    if begin in old:
        head, _, rest = old.partition(begin)
        new = head + section + rest.partition(end)[2]
    else:
        new = f"{old.rstrip()}\n\n{section}\n" if old else f"{section}\n"
    path.write_text(new, encoding="utf-8")
