"""Clients in processes of their own, since one Python process cannot post two thousand photos a second."""

import multiprocessing
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from service.bench.client import encode_post, run_load

_PATIENCE = 60.0


@dataclass(frozen=True)
class Posted:
    """What all clients together got: answers by status (0: lost), seconds of each 200, their CPU seconds."""

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
    headers = {"content-type": "image/jpeg"}
    posts = [encode_post(path, photo, headers) for photo in photos]
    with context.Pool(processes) as pool:
        loads = pool.starmap(run_load, [(port, posts, clients, seconds, _PATIENCE)] * processes, chunksize=1)
    answers = [answer for load in loads for answer in load.answers]
    return Posted(
        clients=processes * clients,
        statuses=Counter(answer.status for answer in answers),
        seconds=tuple(answer.seconds for answer in answers if answer.status == 200),
        cpu_seconds=sum(load.cores * load.seconds for load in loads),
        wall_seconds=max(load.seconds for load in loads),
    )
