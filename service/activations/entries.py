"""One activation, as it is kept for ever."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Actor:
    """Who put a bundle in place: the name and the id of their key, or a word for who has none."""

    name: str
    key_id: str | None = None

    def __str__(self) -> str:
        return self.key_id or self.name


ANYBODY = Actor("anybody")  # the service asks for no keys
START = Actor("start")  # the service itself, when it starts


@dataclass(frozen=True)
class Activation:
    """A bundle came to serve.

    Attributes:
        previous: the version that served before; None if none did. After a start it may be the same one.
        time: UTC.
    """

    part: str
    version: str
    previous: str | None
    by: Actor
    time: datetime
