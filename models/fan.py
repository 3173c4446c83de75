"""The angles at which parts are looked for. Known without OpenCV and NumPy, since manifests tell of it."""

import math

from pydantic import BaseModel, ConfigDict, Field

_STEP = 6.0


class Fan(BaseModel):
    """The angles at which parts are looked for: up to `half` degrees either way from `middle`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    middle: float = Field(default=0.0, ge=-180.0, le=180.0)
    half: float = Field(default=180.0, gt=0.0, le=180.0)

    def angles(self) -> list[float]:
        """Those of the coarse search, in rising order."""
        count = math.ceil(self.half / _STEP)
        around = [self.middle + self.half * index / count for index in range(-count, count + 1)]
        return around[:-1] if self.half == 180.0 else around
