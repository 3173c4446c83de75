"""API keys: what is kept of a key, and how the key of a request is recognised."""

import hashlib
import hmac
import secrets
from collections import Counter
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Role = Literal["camera", "operator", "admin"]

# Each role may do what those before it may.
ROLES: tuple[Role, ...] = ("camera", "operator", "admin")

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$"
_PREFIX = "glint_"  # so that scanners for secrets, and people, recognise a key
_KEY_BYTES = 32


class KeyRecord(BaseModel):
    """What is kept of a key: never the key itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-f]{12}$")
    name: str = Field(pattern=NAME_PATTERN)
    role: Role
    created: datetime
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the whole key.")
    revoked: datetime | None = None


class KeyTable(BaseModel):
    """The keys of a service, revoked ones included; also the schema of the file they are kept in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    keys: tuple[KeyRecord, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> "KeyTable":
        twice = [name for name, count in Counter(record.id for record in self.keys).items() if count > 1]
        if twice:
            raise ValueError(f"the id {twice[0]} is there twice")
        return self

    def holder_of(self, key: str) -> KeyRecord | None:
        """The record of a key that is valid, or None. How long it takes does not tell how much was right."""
        digest = _sha256(key)
        found = None
        for record in self.keys:
            if hmac.compare_digest(record.sha256, digest) and record.revoked is None:
                found = record
        return found

    def with_key(self, record: KeyRecord) -> "KeyTable":
        """The table with one more key."""
        return KeyTable(keys=(*self.keys, record))

    def revoke(self, key_id: str) -> "KeyTable | None":
        """The table with that key revoked, or None without such a key. Revoking twice changes nothing."""
        if key_id not in {record.id for record in self.keys}:
            return None
        now = datetime.now(UTC)
        return KeyTable(
            keys=tuple(
                record.model_copy(update={"revoked": now})
                if record.id == key_id and record.revoked is None
                else record
                for record in self.keys
            )
        )


def new_key(name: str, role: Role) -> tuple[str, KeyRecord]:
    """Make a key of 256 random bits; the key itself is in no record and must be handed out now."""
    key = _PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    record = KeyRecord(
        id=secrets.token_hex(6), name=name, role=role, created=datetime.now(UTC), sha256=_sha256(key)
    )
    return key, record


def allows(role: Role, least: Role) -> bool:
    """Whether a key of `role` may do what takes at least `least`."""
    return ROLES.index(role) >= ROLES.index(least)


def _sha256(key: str) -> str:
    # A fast hash is enough: 256 random bits cannot be guessed.
    return hashlib.sha256(key.encode()).hexdigest()
