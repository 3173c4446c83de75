"""The keys of a running service, which follow their file."""

import logging
import threading
import time
from pathlib import Path

from service.access.errors import KeysError
from service.access.keyfile import read_keys
from service.access.keys import KeyRecord

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 1.0


class KeyRing:
    """Recognises keys by the file's latest whole table. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Raises `KeysError` when the file is missing or broken: a service does not start on a guess."""
        self._path = path
        self._lock = threading.Lock()
        self._seen = _signature(path)
        self._table = read_keys(path)
        self._problem = ""
        self._looked = time.monotonic()
        if not any(record.revoked is None for record in self._table.keys):
            log.warning("No key in %s is valid: every request will be refused.", path)

    def holder_of(self, key: str) -> KeyRecord | None:
        """The record of a valid key, or None."""
        self._follow()
        return self._table.holder_of(key)

    def record(self, key_id: str) -> KeyRecord | None:
        """The record with this id, unless it was revoked."""
        self._follow()
        return next((r for r in self._table.keys if r.id == key_id and r.revoked is None), None)

    @property
    def problem(self) -> str:
        """Why the file's present state is not in force; empty when it is."""
        self._follow()
        return self._problem

    def _follow(self) -> None:
        with self._lock:
            self._look_again()

    def _look_again(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_AGAIN_SECONDS:
            return
        self._looked = now
        signature = _signature(self._path)
        if signature == self._seen:
            return
        try:
            self._table = read_keys(self._path)
        except KeysError as error:
            self._problem = f"{error} Until then the keys that were valid before stay so."
            log.error("%s", self._problem)
        else:
            self._problem = ""
            log.info("The keys in %s were read again.", self._path)
        self._seen = signature


def _signature(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file does; None when it cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
