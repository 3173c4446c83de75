"""What a measurement found, and how it is worked out from single answers."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from service.bench.client import LOST, Answer, Load

TOTAL = "total"
REST = "between stages"
OUTSIDE = "HTTP"


class Latency(BaseModel):
    """Milliseconds; a percentile is a latency that was seen, never one between two."""

    model_config = ConfigDict(frozen=True)

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Latency":
        """From one latency or more, in seconds."""
        mean = sum(seconds) / len(seconds)
        found = [mean, *np.percentile(seconds, [50, 95, 99], method="higher")]
        mean, p50, p95, p99 = (round(1e3 * float(value), 3) for value in found)
        return cls(mean_ms=mean, p50_ms=p50, p95_ms=p95, p99_ms=p99)


class RawRun(BaseModel):
    """The graph alone, one batch after another in each lane."""

    model_config = ConfigDict(frozen=True)

    batch: int = Field(description="Photos in a batch.")
    lanes: int = Field(description="Batches that ran at the same time, as many as in the service.")
    runs: int = Field(description="Of all lanes together.")
    photos_per_second: float
    latency: Latency = Field(description="Of a whole batch.")


class Level(BaseModel):
    """The service under so many clients, each of which posts again as soon as it is answered."""

    model_config = ConfigDict(frozen=True)

    clients: int
    seconds: float
    answered: int = Field(description="Photos that got a verdict.")
    photos_per_second: float = Field(description="Of those that got a verdict.")
    latency: Latency | None = Field(description="Of those that got a verdict; null when there were none.")
    late: int = Field(description="Verdicts that came after the deadline.")
    refused: dict[str, int] = Field(description="Photos without a verdict, by status and code.")
    lost: dict[str, int] = Field(description="Photos whose connection broke, by what broke it.")
    stages_ms: dict[str, float] = Field(description="Mean time of each stage of a photo with a verdict.")
    client_cores: float = Field(description="Cores that the clients themselves kept busy.")


class BenchResult(BaseModel):
    """All that `glint bench` measured, and on what."""

    model_config = ConfigDict(frozen=True)

    machine: str
    libraries: dict[str, str]
    part: str
    bundle_version: str
    provider: str = Field(description="The execution provider that really ran, here and in the service.")
    precision: str = Field(description="Of the graph that ran: fp32, fp16 or int8.")
    photos: str = Field(description="What was posted.")
    seconds: float = Field(description="Length of each measurement.")
    deadline_ms: int
    settings: dict[str, Any] = Field(description="Settings of the service that measured.")
    raw: list[RawRun]
    http: list[Level]

    @property
    def title(self) -> str:
        """What was measured, and on what, in a line."""
        graph = f"{self.part} {self.bundle_version} in {self.precision}"
        return f"{graph} on {self.provider}, {self.machine}"


def level_of(load: Load, deadline_ms: float) -> Level:
    """What a load amounts to; nothing that was posted is left out of it."""
    verdicts = [answer for answer in load.answers if answer.status == 200]
    without = [answer for answer in load.answers if answer.status not in (200, LOST)]
    lost = [answer for answer in load.answers if answer.status == LOST]
    return Level(
        clients=load.clients,
        seconds=round(load.seconds, 3),
        answered=len(verdicts),
        photos_per_second=round(len(verdicts) / load.seconds, 3),
        latency=Latency.of([answer.seconds for answer in verdicts]) if verdicts else None,
        late=sum(1e3 * answer.seconds > deadline_ms for answer in verdicts),
        refused=dict(Counter(f"{answer.status} {answer.detail.decode()}" for answer in without)),
        lost=dict(Counter(answer.detail.decode() for answer in lost)),
        stages_ms=stages_of(verdicts),
        client_cores=round(load.cores, 3),
    )


def stages_of(answers: Sequence[Answer]) -> dict[str, float]:
    """Mean milliseconds of each stage, of what lies between stages, and of what lies outside the service's
    own clock: HTTP at both ends. They add up to the mean latency.
    """
    timed = [(answer.seconds, json.loads(answer.detail)) for answer in answers if answer.detail]
    if not timed:
        return {}
    sums: Counter[str] = Counter()
    for seconds, timings in timed:
        total = timings.pop(TOTAL, sum(timings.values()))
        sums.update(timings)
        sums[REST] += total - sum(timings.values())
        sums[OUTSIDE] += 1e3 * seconds - total
    return {name: round(value / len(timed), 3) for name, value in sums.items()}
