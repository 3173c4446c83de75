"""Slows down whoever tries wrong keys at the sign-in."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 8.0
FORGET_SECONDS = 600.0
MOST_ADDRESSES = 1024
MOST_WAITING = 16


@dataclass(frozen=True)
class _Failures:
    count: int
    last: float


class SignInBrake:
    """Makes the answer to each wrong key from the same address wait twice as long. For one event loop.

    A right key does not wait: behind a proxy all clients have one address, and a key of 256 bits is not found
    by trying.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._waiting = 0

    async def wait(self, address: str) -> bool:
        """Wait before a wrong key is answered; False, at once, when too many wait already."""
        seconds = self.seconds(address)
        if not seconds:
            return True
        if self._waiting >= MOST_WAITING:
            return False
        self._waiting += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._waiting -= 1
        return True

    def seconds(self, address: str) -> float:
        """How long the next wrong key from this address has to wait."""
        failures = self._failures.get(address)
        if failures is None or time.monotonic() - failures.last > FORGET_SECONDS:
            return 0.0
        return float(min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures.count - 1, 10)))

    def failed(self, address: str) -> None:
        """Note a wrong key."""
        before = self._failures.pop(address, None)
        self._failures[address] = _Failures((before.count if before else 0) + 1, time.monotonic())
        if len(self._failures) > MOST_ADDRESSES:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget an address's failures."""
        self._failures.pop(address, None)
