"""Names given by users, a limited number of them: each costs memory here and a time series elsewhere."""

import threading

OTHER = "other"


class BoundedNames:
    """Knows the first names it is taught, up to a number; every other name is `other`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._names: set[str] = set()
        self._lock = threading.Lock()

    def learn(self, name: str | None) -> str:
        """Make the name known if there is room, and return what it counts as. None is the empty name."""
        with self._lock:
            if name and name not in self._names and len(self._names) < self._most:
                self._names.add(name)
        return self.known(name)

    def known(self, name: str | None) -> str:
        """What the name counts as."""
        return name if name in self._names else OTHER if name else ""
