"""Checks what `glint bench` is asked for before minutes are spent on it."""

from pathlib import Path

from models.errors import UsageError

# A service takes this many connections at most.
MOST_CLIENTS = 512


def parse_clients(text: str) -> tuple[int, ...]:
    """Numbers of clients from `1,4,16`, ascending and each once.

    Raises:
        UsageError: when it is something else.
    """
    parts = [part.strip() for part in text.split(",")]
    if all(part.isascii() and part.isdigit() and 1 <= int(part[:9]) <= MOST_CLIENTS for part in parts):
        return tuple(sorted({int(part) for part in parts}))
    raise UsageError(
        f"--clients is {text!r}.", f"Give numbers from 1 to {MOST_CLIENTS} with commas, for example 1,4,16."
    )


def check_outputs(json: Path | None, plot: Path | None) -> None:
    """
    Raises:
        UsageError: when a file could not be written in the end.
    """
    if plot is not None and plot.suffix.lower() != ".svg":
        raise UsageError(f"--plot is {plot}.", "The picture is an SVG: give a name that ends in .svg.")
    for file in (json, plot):
        if file is not None and not file.parent.is_dir():
            raise UsageError(f"There is no folder {file.parent}.", "Make it, or name another file.")
