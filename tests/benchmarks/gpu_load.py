"""Clients in processes of their own, since one Python process cannot post two thousand photos a second."""

import http.client
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_PATIENCE = 60.0


@dataclass(frozen=True)
class Posted:
    """What all clients together got: answers by status, seconds of each 200, and CPU seconds they took."""

    clients: int
    statuses: Counter[int]
    seconds: tuple[float, ...]
    cpu_seconds: float
    wall_seconds: float

    @property
    def rate(self) -> float:
        """Answers 200 a second."""
        return self.statuses[200] / self.wall_seconds


def post_for(
    port: int, path: str, photos: Sequence[bytes], *, processes: int, clients: int, seconds: float
) -> Posted:
    """Post JPEGs for so many seconds: `clients` connections in each process, each as fast as it can."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        work = [(port, path, photos, clients, seconds)] * processes
        parts = pool.starmap(_post, work, chunksize=1)
    return Posted(
        clients=processes * clients,
        statuses=sum((part.statuses for part in parts), Counter()),
        seconds=tuple(second for part in parts for second in part.seconds),
        cpu_seconds=sum(part.cpu_seconds for part in parts),
        wall_seconds=max(part.wall_seconds for part in parts),
    )


def _post(port: int, path: str, photos: Sequence[bytes], clients: int, seconds: float) -> Posted:
    answers: list[tuple[int, float]] = []
    begun, cpu = time.monotonic(), time.process_time()
    end = begun + seconds

    def work(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
        number = first
        while time.monotonic() < end:
            started = time.monotonic()
            photo = photos[number % len(photos)]
            connection.request("POST", path, photo, {"content-type": "image/jpeg"})
            response = connection.getresponse()
            response.read()
            answers.append((response.status, time.monotonic() - started))
            number += clients
        connection.close()

    threads = [threading.Thread(target=work, args=(first,)) for first in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Posted(
        clients=clients,
        statuses=Counter(status for status, _ in answers),
        seconds=tuple(took for status, took in answers if status == 200),
        cpu_seconds=time.process_time() - cpu,
        wall_seconds=time.monotonic() - begun,
    )
