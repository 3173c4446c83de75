"""The `glint` command: gathers the commands of service and training without importing either by name."""

from importlib.metadata import entry_points
from typing import NoReturn

import typer
from rich.console import Console

from models.errors import GlintError, UsageError


def main() -> None:
    """Run `glint`. Faults a user can act on end as one clear line and exit code 1."""
    app = typer.Typer(
        name="glint",
        help="Inspect parts from line cameras: train on a folder of photos, serve verdicts and heatmaps.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    for entry in sorted(entry_points(group="glint.commands"), key=lambda entry: entry.name, reverse=True):
        side = entry.load()
        app.registered_commands.extend(side.registered_commands)
        app.registered_groups.extend(side.registered_groups)
    try:
        app()
    except GlintError as error:
        _end(error)
    except OSError as error:
        # Without a file name it is no file that the user named: then the traceback says more.
        if error.filename is None:
            raise
        _end(
            UsageError(
                f"{error.filename}: {error.strerror}.",
                "Check the path, its permissions and the space on the disk.",
            )
        )


def _end(error: GlintError) -> NoReturn:
    console = Console(stderr=True, highlight=False)
    console.print(f"glint: {error.problem}", style="bold red", markup=False, soft_wrap=True)
    console.print(error.remedy, markup=False, soft_wrap=True)
    raise SystemExit(1) from None
