"""What the station's routes share, as `app.state.station`."""

from dataclasses import dataclass, field

from service.access.brake import SignInBrake
from service.access.sessions import Sessions
from service.station.pages import Pages


@dataclass(frozen=True)
class Station:
    """The parts of one station; `sessions` are None where the service has no keys."""

    sessions: Sessions | None
    pages: Pages = field(default_factory=Pages)
    brake: SignInBrake = field(default_factory=SignInBrake)

    def close(self) -> None:
        """Keep what outlives the process."""
        if self.sessions is not None:
            self.sessions.save()
