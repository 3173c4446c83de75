"""How fast a device answers, so that a photo which cannot be in time is refused before it costs anything."""

_WEIGHT = 0.1


class Pace:
    """Seconds that a device takes for one photo, as a moving mean; 0 until it has run one."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def learn(self, seconds: float) -> None:
        """Take in what a photo took when all that can run at a time did."""
        weight = _WEIGHT if self._seconds else 1.0
        self._seconds += weight * (seconds - self._seconds)

    def seconds_for(self, photos: int) -> float:
        """How long so many photos will take."""
        return photos * self._seconds
