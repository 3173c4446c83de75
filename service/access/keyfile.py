"""The file of keys: read whole or not at all, and changed by one process at a time."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from models.files import write_whole
from service.access.errors import KeysError
from service.access.keys import KeyTable


def read_keys(path: Path) -> KeyTable:
    """Read the table.

    Raises:
        KeysError: when the file is missing, cannot be read, or is not whole.
    """
    try:
        return KeyTable.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise KeysError(
            f"There is no file of keys at {path}.",
            f"Make the first key: glint keys add --role admin --name NAME --keys {path}",
        ) from None
    except OSError as error:
        raise KeysError(
            f"The keys in {path} cannot be read: {error.strerror}.", "Let the service's user read the file."
        ) from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise KeysError(
            f"The keys in {path} cannot be read: {where}: {first['msg']}.",
            "Copy the file back from a backup, or make new keys with `glint keys add` in another file.",
        ) from None


def write_keys(path: Path, table: KeyTable) -> None:
    """Replace the file, whole or not at all, with mode 0600; see `locked`.

    The owner stays who it was, or becomes the folder's, so that root may add a key for the service's user.
    """
    owner = (path if path.exists() else path.parent).stat()
    text = table.model_dump_json(indent=2) + "\n"
    given_to = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else None
    write_whole(path, text.encode(), mode=0o600, owner=given_to)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other commands from changing the file meanwhile; the lock ends with the process at the latest."""
    import fcntl

    # The folder is what is locked: the file itself is replaced, and a lock file might belong to another user.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
