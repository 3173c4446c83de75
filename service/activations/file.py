"""The book of activations in a file of the state folder, for a service without an archive."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from models.files import write_whole
from service.activations.entries import Activation, Actor
from service.errors import SettingsError

FILE = "activations.json"


class InFile:
    """A shelf in `activations.json`, oldest first; the file is replaced whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE

    def add(self, activation: Activation) -> None:
        """Keep one more.

        Raises:
            OSError: when the file cannot be written.
            SettingsError: when what is in it cannot be read; it is then left as it is.
        """
        kept = [*self._read(), activation]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._file, (json.dumps([_as_json(each) for each in kept], indent=1) + "\n").encode())

    def newest(self, part: str, limit: int) -> list[Activation]:
        """The last ones of a part, the newest first.

        Raises:
            SettingsError: when the file cannot be read.
        """
        return [each for each in reversed(self._read()) if each.part == part][:limit]

    def _read(self) -> list[Activation]:
        try:
            return [_from_json(each) for each in json.loads(self._file.read_bytes())]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise SettingsError(
                f"{self._file} cannot be read: {error!r}.",
                "Restore it, or move it away to begin a new history of activations.",
            ) from error


def _as_json(activation: Activation) -> dict[str, Any]:
    return {
        "part": activation.part,
        "version": activation.version,
        "previous": activation.previous,
        "by": activation.by.name,
        "key_id": activation.by.key_id,
        "time": activation.time.isoformat(),
    }


def _from_json(values: dict[str, Any]) -> Activation:
    by = Actor(values["by"], values["key_id"])
    time = datetime.fromisoformat(values["time"])
    return Activation(values["part"], values["version"], values["previous"], by, time)
