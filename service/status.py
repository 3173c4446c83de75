"""What the registry says: how far each part is, whether all are ready, and what an activation did."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class PartStatus(BaseModel):
    """How far a part's bundle is."""

    model_config = ConfigDict(frozen=True)

    state: Literal["loading", "ready", "failed"]
    reason: str = Field(default="", description="Why it is not ready, and what to do.")
    version: str | None = Field(default=None, description="The bundle's version.")
    provider: str | None = Field(default=None, description="The execution provider that really runs.")
    provider_fallback: str = Field(default="", description="Why no GPU is used, if one was looked for.")
    precision: str | None = Field(default=None, description="Of the graph that runs: fp32, fp16 or int8.")
    precision_reason: str = Field(default="", description="Why that graph was chosen.")


class Readiness(BaseModel):
    """Whether every bundle is loaded, warmed up, and gives its recorded results on its golden photos."""

    model_config = ConfigDict(frozen=True)

    ready: bool
    reasons: list[str] = Field(description="What is not ready, and why; empty when ready.")
    parts: dict[str, PartStatus]

    def but(self, reason: str) -> "Readiness":
        """Not ready, for one more reason."""
        return self.model_copy(update={"ready": False, "reasons": [*self.reasons, reason]})


@dataclass(frozen=True)
class Activated:
    """What an activation did. `kept` says whether the choice outlives the process."""

    part: str
    version: str
    previous: str | None
    kept: bool
