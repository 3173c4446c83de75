"""The loaded inspectors by part, the device workers they share, and whether all are ready."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.errors import BundleError, DeviceError, GlintError
from service.errors import NotReadyError, PartNotNamedError, UnknownPartError
from service.settings import Settings

if TYPE_CHECKING:
    from models.inspector import Inspector
    from service.batching import Batcher

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedPart:
    """A part that can be inspected: its inspector, and the worker of its device."""

    inspector: "Inspector"
    batcher: "Batcher"


class PartStatus(BaseModel):
    """How far a part's bundle is."""

    model_config = ConfigDict(frozen=True)

    state: Literal["loading", "ready", "failed"]
    reason: str = Field(default="", description="Why it is not ready, and what to do.")
    version: str | None = Field(default=None, description="The bundle's version.")
    provider: str | None = Field(default=None, description="The execution provider that really runs.")
    provider_fallback: str = Field(default="", description="Why no GPU is used, if one was looked for.")


class Readiness(BaseModel):
    """Whether every bundle is loaded, warmed up, and gives its recorded results on its golden photos."""

    model_config = ConfigDict(frozen=True)

    ready: bool
    reasons: list[str] = Field(description="What is not ready, and why; empty when ready.")
    parts: dict[str, PartStatus]

    def with_reason(self, reason: str) -> "Readiness":
        """The same, but not ready for one reason more."""
        return Readiness(ready=False, reasons=[*self.reasons, reason], parts=self.parts)


class Registry:
    """Loads the newest bundle of every part and hands the inspectors out once they are proved to work."""

    def __init__(self, settings: Settings, on_death: Callable[[BaseException], None]) -> None:
        """`on_death` is called, from a device worker's thread, should that worker die."""
        self._settings = settings
        self._on_death = on_death
        self._parts: dict[str, LoadedPart] = {}
        self._statuses: dict[str, PartStatus] = {}
        self._batchers: dict[str, Batcher] = {}
        self._failure = ""
        self._begun = False
        self._found = False
        self._stopping = threading.Event()

    def load(self) -> None:
        """Load, warm up and check every bundle, one after another. Does nothing the second time.

        A bundle that cannot be trusted stays out, and readiness says why.

        Raises:
            DeviceError: when the device is `cuda` and a session does not run there.
        """
        if self._begun:
            return
        self._begun = True
        from models.bundle import find_bundles

        try:
            bundles = find_bundles(self._settings.bundles)
        except BundleError as error:
            self._failure = str(error)
            log.error("No bundle can be loaded: %s", error)
            return
        self._statuses = {part: PartStatus(state="loading", reason="It is being loaded.") for part in bundles}
        self._found = True
        for part, path in bundles.items():
            if not self._stopping.is_set():
                self._try_to_load(part, path)
        if self.readiness().ready:
            log.info("Ready: %s", "; ".join(f"{part}: {self._describe(part)}" for part in self._parts))

    def load_in_background(self) -> None:
        """Run `load` in a thread of its own."""
        threading.Thread(target=self.load, name="glint-loader", daemon=True).start()

    @property
    def part_names(self) -> list[str]:
        """The parts of which there is a bundle, loaded or not."""
        return list(self._statuses)

    @property
    def loaded(self) -> dict[str, LoadedPart]:
        """The parts that can be inspected."""
        return dict(self._parts)

    def part(self, name: str | None) -> LoadedPart:
        """Find a part that can be inspected; None stands for the only one.

        Raises:
            NotReadyError: when it is still loading, failed, or the bundles have not been looked for yet.
            UnknownPartError, PartNotNamedError: when there is no such part, or none was named of several.
        """
        if not self._found:
            raise NotReadyError(self._failure or "The bundles are being loaded.")
        if name is None and len(self._statuses) > 1:
            raise PartNotNamedError(self.part_names)
        name = name if name is not None else self.part_names[0]
        if name not in self._statuses:
            raise UnknownPartError(name, self.part_names)
        if name not in self._parts:
            raise NotReadyError(f"The part {name} cannot be inspected. {self._statuses[name].reason}")
        return self._parts[name]

    def readiness(self) -> Readiness:
        """Whether photos of every part can be inspected now."""
        reasons = [] if self._found else [self._failure or "The bundles are being loaded."]
        reasons += [f"{part}: {s.reason}" for part, s in self._statuses.items() if s.state != "ready"]
        for provider, batcher in list(self._batchers.items()):
            if batcher.dead:
                reasons.append(f"The worker of {provider} has died; the service is about to end.")
            elif batcher.busy_seconds() > self._settings.stall_seconds:
                reasons.append(f"The worker of {provider} has been stuck for {batcher.busy_seconds():.0f} s.")
        return Readiness(ready=not reasons, reasons=reasons, parts=dict(self._statuses))

    @property
    def any_worker_dead(self) -> bool:
        """Whether a device worker has died."""
        return any(batcher.dead for batcher in list(self._batchers.values()))

    def close(self, timeout: float) -> None:
        """Stop loading; let the workers finish what waits, for at most `timeout` s."""
        self._stopping.set()
        for batcher in list(self._batchers.values()):
            batcher.close(timeout)

    def _try_to_load(self, part: str, path: Path) -> None:
        try:
            self._load(part, path)
        except DeviceError as error:
            self._mark_failed(part, str(error))
            if self._settings.device == "cuda":
                raise
        except GlintError as error:
            self._mark_failed(part, str(error))
        except Exception as error:
            # One bad bundle, however it is bad, must neither end the loader nor hide behind `loading`.
            log.exception("The bundle %s could not be loaded.", path)
            self._mark_failed(part, f"{path} could not be loaded: {error}")

    def _load(self, part: str, path: Path) -> None:
        from models.inspector import Inspector

        inspector = Inspector.load(path, self._settings.device, self._settings.threads)
        batcher = self._batcher_of(inspector.provider)
        size = inspector.manifest.preprocessing
        for count in batcher.buckets:
            inspector.run(np.zeros((count, size.height, size.width, 3), dtype=np.uint8))
        differences = inspector.check_golden()
        if differences:
            remedy = "Check the bundle with `glint verify`, or train it again."
            raise BundleError(f"{path}: golden photos differ: {'; '.join(differences)}.", remedy)
        self._parts = {**self._parts, part: LoadedPart(inspector, batcher)}
        status = PartStatus(
            state="ready",
            version=inspector.manifest.version,
            provider=inspector.provider,
            provider_fallback=inspector.provider_fallback,
        )
        self._statuses = {**self._statuses, part: status}

    def _batcher_of(self, provider: str) -> "Batcher":
        from service.batching import Batcher, buckets_for

        if provider not in self._batchers:
            batcher = Batcher(
                provider,
                buckets=buckets_for(provider),
                capacity=self._settings.queue_size,
                on_death=self._on_death,
            )
            self._batchers = {**self._batchers, provider: batcher}
        return self._batchers[provider]

    def _mark_failed(self, part: str, reason: str) -> None:
        log.error("The part %s cannot be inspected: %s", part, reason)
        self._statuses = {**self._statuses, part: PartStatus(state="failed", reason=reason)}

    def _describe(self, part: str) -> str:
        status = self._statuses[part]
        return f"version {status.version} on {status.provider}"
