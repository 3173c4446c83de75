"""The commands that make, list and revoke API keys: `glint keys`."""

from pathlib import Path
from typing import Annotated

import typer

from service.access.keys import Role

app = typer.Typer(
    name="keys",
    help="Make, list and revoke the API keys that let cameras and people in.",
    no_args_is_help=True,
)

KeysOption = Annotated[
    Path, typer.Option("--keys", envvar="GLINT_KEYS", help="The file of keys.", show_default=False)
]


@app.command()
def add(
    role: Annotated[Role, typer.Option(help="camera: post photos. operator: also read. admin: everything.")],
    name: Annotated[str, typer.Option(help="Who gets it, for example line3.")],
    keys: KeysOption,
) -> None:
    """Make a key and print it, this once: only its hash is kept.

    The file is made if it is missing. A running service takes the key within two seconds.

    Example: glint keys add --role camera --name line3 --keys keys.json
    """
    from service.access.commands import add_key

    key, key_id = add_key(keys, name, role)
    typer.echo(f"The key {key_id} for {name} ({role}); it is shown only now:", err=True)
    typer.echo(key)


@app.command(name="list")
def list_keys(keys: KeysOption) -> None:
    """List the keys, revoked ones included; the keys themselves are not known.

    Example: glint keys list --keys keys.json
    """
    from rich.console import Console

    from service.access.commands import key_listing
    from service.access.keyfile import read_keys

    Console(highlight=False).print(key_listing(read_keys(keys)))


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `glint keys list` shows it.")],
    keys: KeysOption,
) -> None:
    """Make a key invalid for good. A running service refuses it within two seconds.

    Example: glint keys revoke 3f0c6d3a4b0e --keys keys.json
    """
    from service.access.commands import revoke_key

    record = revoke_key(keys, key_id)
    typer.echo(f"The key {record.id} of {record.name} ({record.role}) is revoked.")
