"""Whether the service may be reached from elsewhere without keys."""

import ipaddress

from service.access.errors import ExposureError
from service.settings import Settings


def check_exposure(settings: Settings) -> None:
    """Refuse to listen for anybody on anything but the loopback address, unless told to in so many words.

    Raises:
        ExposureError: saying how to make a key.
    """
    if settings.keys is not None or settings.allow_anonymous or is_loopback(settings.host):
        return
    raise ExposureError(
        f"On {settings.host} the service would listen for others, and it has no keys to keep anybody out.",
        "Make a key (`glint keys add --role admin --name NAME --keys keys.json`) and serve with "
        "--keys keys.json; or listen on 127.0.0.1; or, if whoever reaches it may do anything, "
        "use --allow-anonymous.",
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`; of names, only `localhost` is trusted to be that."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
