"""What `glint keys` does to the file of keys."""

import re
from datetime import datetime
from pathlib import Path

from rich.table import Table

from models.errors import UsageError
from service.access.errors import KeysError
from service.access.keyfile import locked, read_keys, write_keys
from service.access.keys import NAME_PATTERN, KeyRecord, KeyTable, Role, new_key


def add_key(path: Path, name: str, role: Role) -> tuple[str, str]:
    """Add a key to the file, which is made if it is missing; return the key and its id.

    Raises:
        UsageError: when the name cannot be used.
        KeysError: when the file is broken.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise UsageError(
            f"{name[:64]!r} cannot be the name of a key.",
            "Use --name with letters, digits, spaces, '.', '_' and '-', up to 64, the first no sign.",
        )
    with locked(path):
        table = read_keys(path) if path.exists() else KeyTable()
        key, record = new_key(name, role)
        write_keys(path, table.with_key(record))
    return key, record.id


def revoke_key(path: Path, key_id: str) -> KeyRecord:
    """Mark a key as revoked and return its record.

    Raises:
        KeysError: when there is no such key, or the file is missing or broken.
    """
    with locked(path):
        table = read_keys(path).revoke(key_id)
        if table is None:
            raise KeysError(f"{path} has no key {key_id[:64]!r}.", "See `glint keys list` for the ids.")
        write_keys(path, table)
    return next(record for record in table.keys if record.id == key_id)


def key_listing(table: KeyTable) -> Table:
    """The keys as a table to print."""
    listing = Table("id", "name", "role", "created", "revoked", box=None)
    for record in table.keys:
        revoked = _time(record.revoked) if record.revoked else ""
        listing.add_row(record.id, record.name, record.role, _time(record.created), revoked)
    return listing


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
