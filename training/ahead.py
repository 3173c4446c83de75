"""Work done ahead in threads, in order, while what it is for runs."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# Results held ready: each may be a decoded photo of tens of megabytes.
_AHEAD = 4
_THREADS = 2


def work_ahead(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield `work(item)` in the order of `items`, a few of them done before they are asked for."""
    upcoming = iter(items)
    with ThreadPoolExecutor(_THREADS) as pool:
        ahead = deque(pool.submit(work, item) for item in islice(upcoming, _AHEAD))
        while ahead:
            done = ahead.popleft().result()
            ahead.extend(pool.submit(work, item) for item in islice(upcoming, 1))
            yield done
