"""Who is signed in at the station: sessions that stand for a key, and end with it."""

import hashlib
import logging
import secrets
import threading
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.files import write_whole
from service.access.keys import KeyRecord
from service.access.ring import KeyRing

MOST_SESSIONS = 1000
SAVE_AGAIN_SECONDS = 600.0
_FILE = "sessions.json"
_BYTES = 32

log = logging.getLogger(__name__)


class Session(BaseModel):
    """One sign-in. Times are seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key_id: str
    begun: float
    used: float


class SessionTable(BaseModel):
    """The sessions by the SHA-256 of their token; also the schema of the file they are kept in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sessions: dict[str, Session] = Field(default={}, max_length=MOST_SESSIONS)


class Sessions:
    """Gives out tokens of 256 random bits and recognises them. Safe to use from several threads.

    A session ends when its key is revoked, when it was not used for a while, and when its holder signs out.
    """

    def __init__(self, keys: KeyRing, seconds: float, folder: Path | None) -> None:
        """
        Args:
            seconds: how long a session lasts after it was used last.
            folder: keeps the sessions over a restart; None forgets them.
        """
        self._keys = keys
        self._seconds = seconds
        self._path = folder / _FILE if folder is not None else None
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # Apart, so that a slow disk keeps no request waiting.
        self._sessions: dict[str, Session] = dict(_read(self._path).sessions) if self._path else {}
        self._saved = time.monotonic()

    def open(self, record: KeyRecord) -> str:
        """Begin a session for the holder of a key and return its token, which is kept nowhere."""
        token = new_token()
        now = time.time()
        with self._lock:
            self._end_the_old(now)
            self._sessions[_digest(token)] = Session(key_id=record.id, begun=now, used=now)
        self.save()
        return token

    def holder_of(self, token: str) -> KeyRecord | None:
        """The key that a token stands for, if its session goes on; it then lasts anew."""
        digest, now = _digest(token), time.time()
        with self._lock:
            session = self._sessions.get(digest)
            if session is None:
                return None
            record = self._keys.record(session.key_id)
            if record is None or now - session.used > self._seconds:
                del self._sessions[digest]
                return None
            self._sessions[digest] = session.model_copy(update={"used": now})
        return record

    def close(self, token: str) -> None:
        """End a session."""
        with self._lock:
            ended = self._sessions.pop(_digest(token), None)
        if ended is not None:
            self.save()

    def save(self) -> None:
        """Keep the sessions over a restart, where there is a folder to keep them in."""
        if self._path is None:
            return
        self._saved = time.monotonic()
        with self._writing:
            with self._lock:
                table = SessionTable(sessions=dict(self._sessions))
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(self._path, table.model_dump_json().encode(), mode=0o600)
            except OSError as error:
                log.error("Sign-ins will not outlive a restart: %s: %s.", self._path, error.strerror)

    @property
    def is_save_due(self) -> bool:
        """Whether the times of last use have changed since they were kept, minutes ago."""
        return self._path is not None and time.monotonic() - self._saved > SAVE_AGAIN_SECONDS

    def _end_the_old(self, now: float) -> None:
        lasting = [item for item in self._sessions.items() if now - item[1].used <= self._seconds]
        lasting.sort(key=lambda item: item[1].used)
        self._sessions = dict(lasting[-(MOST_SESSIONS - 1) :])


def new_token() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(_BYTES)


def form_token(token: str) -> str:
    """What forms of the holder of `token` carry, so that no other page can send them.

    It follows from the token, so that it outlives a restart, and the token does not follow from it.
    """
    return hashlib.sha256(f"form:{token}".encode()).hexdigest()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _read(path: Path) -> SessionTable:
    try:
        return SessionTable.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return SessionTable()
    except (OSError, ValidationError):
        # Signing in again mends it; a line does not stop for it.
        log.exception("%s cannot be read: everybody has to sign in again.", path)
        return SessionTable()
