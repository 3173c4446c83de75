"""The pages that the station's head leads to."""

from dataclasses import dataclass

from service.access.keys import Role
from service.access.rules import STATION


@dataclass(frozen=True)
class Entry:
    """A page: its name in the texts of the shell, its path, and the least role that it is shown to."""

    name: str
    path: str
    role: Role


ENTRIES = (
    Entry("board", STATION, "operator"),
    Entry("review", f"{STATION}review", "operator"),
    Entry("numbers", f"{STATION}numbers", "operator"),
    Entry("limits", f"{STATION}limits", "admin"),
    Entry("models", f"{STATION}models", "admin"),
)
