"""The loaded inspectors by part, the device workers they share, and whether all are ready."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import DeviceError, GlintError
from service.activations.book import Book, InMemory
from service.activations.entries import ANYBODY, Actor
from service.canary import CanaryWatch
from service.errors import (
    ActivationError,
    CanaryFailedError,
    NotReadyError,
    PartNotNamedError,
    UnknownPartError,
    UnknownVersionError,
)
from service.loading import LoadedPart, load_part
from service.priority import LOADER
from service.settings import Settings
from service.status import Activated, PartStatus, Readiness
from service.versions import Choices, Version, bundle_to_serve, parts_to_serve, versions_of

if TYPE_CHECKING:
    from service.batching import Batcher

log = logging.getLogger(__name__)


class Registry:
    """Loads a bundle of every part and hands the inspectors out once they are proved to work.

    It is the newest one, unless another was activated.
    """

    def __init__(
        self, settings: Settings, on_death: Callable[[BaseException], None], book: Book | None = None
    ) -> None:
        """
        Args:
            on_death: called, from a device worker's thread, should that worker die.
            book: where it is written down which bundle serves; one in memory if not given.
        """
        self._settings = settings
        self._on_death = on_death
        self._parts: dict[str, LoadedPart] = {}
        self._statuses: dict[str, PartStatus] = {}
        self._batchers: dict[str, Batcher] = {}
        self._failure = ""
        self._begun = False
        self._found = False
        self._stopping = threading.Event()
        self._paths: dict[str, Path] = {}
        self._active = Choices(settings.state)
        self.book = book or Book(InMemory())
        self._changing = threading.Lock()
        self._watch = CanaryWatch(
            lambda: [part.canary for part in self._parts.values()], settings.canary_seconds
        )

    def load(self) -> None:
        """Load, warm up and check every bundle, one after another. Does nothing the second time.

        A bundle that cannot be trusted stays out, and readiness says why.

        Raises:
            DeviceError: when the device is `cuda` and a session does not run there.
        """
        if self._begun:
            return
        self._begun = True
        self._watch.start()
        with self._changing:
            self._load_all()

    def _load_all(self) -> None:
        from models.bundle import survey_bundles

        try:
            found = survey_bundles(self._settings.bundles)
            chosen = self._active.read()
        except GlintError as error:
            self._failure = str(error)
            log.error("No bundle can be loaded: %s", error)
            return
        except Exception as error:
            # Whatever it was, it must not look as if bundles were being loaded for ever.
            self._failure = f"The bundles cannot be looked for: {error!r}."
            log.exception("No bundle can be loaded.")
            return
        loading = PartStatus(state="loading", reason="It is being loaded.")
        self._statuses = dict.fromkeys([*found.paths, *found.failures], loading)
        self._paths = {**found.paths, **found.unreadable}
        to_serve, failures = parts_to_serve(found, chosen)
        for part, failure in failures.items():
            self._mark_failed(part, str(failure))
        self._found = True
        for part, path in to_serve.items():
            if not self._stopping.is_set():
                self._try_to_load(part, path, chosen.get(part))
        if self.readiness().ready:
            log.info("Ready: %s", "; ".join(f"{part}: {self._describe(part)}" for part in self._parts))

    def load_in_background(self, then: Callable[[], None]) -> None:
        """Run `load`, and what is to come after it, in a thread of its own."""

        def work() -> None:
            self.load()
            self.book.catch_up()  # a GPU is proved before the archive is opened
            then()

        threading.Thread(target=work, name=LOADER, daemon=True).start()

    @property
    def part_names(self) -> list[str]:
        """The parts of which there is a bundle, loaded or not."""
        return list(self._statuses)

    @property
    def loaded(self) -> dict[str, LoadedPart]:
        """The parts that can be inspected."""
        return dict(self._parts)

    @property
    def workers(self) -> dict[str, "Batcher"]:
        """The device workers, by execution provider."""
        return dict(self._batchers)

    def part(self, name: str | None) -> LoadedPart:
        """Find a part that can be inspected; None stands for the only one.

        Raises:
            NotReadyError: when it is still loading, failed, or the bundles have not been looked for yet.
            CanaryFailedError: when its golden photos do not give their recorded results now.
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
        part = self._parts[name]
        if part.canary.failure:
            raise CanaryFailedError(name, part.canary.failure)
        return part

    def versions(self, part: str) -> list[Version]:
        """The bundles of a part, the newest first.

        Raises:
            NotReadyError, UnknownPartError: when there are none to be looked for.
        """
        self.check_known(part)
        if part not in self._paths:
            raise NotReadyError(f"The bundles of {part} cannot be listed. {self._statuses[part].reason}")
        return versions_of(part, self._paths[part])

    def check_known(self, part: str) -> None:
        """
        Raises:
            NotReadyError, UnknownPartError: when there is no bundle of such a part, or that is not known yet.
        """
        if not self._found:
            raise NotReadyError(self._failure or "The bundles are being loaded.")
        if part not in self._statuses:
            raise UnknownPartError(part, self.part_names)

    def activate(self, part: str, version: str, by: Actor = ANYBODY) -> Activated:
        """Load another bundle of a part beside the one that serves, prove it, and put it in its place.

        Photos that were accepted before are answered by the old one. If anything is wrong with the new one,
        the old one goes on serving.

        Raises:
            UnknownPartError, UnknownVersionError, NotReadyError: when there is nothing to activate.
            ActivationError: `activation_busy` while another bundle is being loaded, `activation_failed` when
                the new one cannot be trusted or the choice cannot be kept or written down.
        """
        known = {found.name: found.path for found in self.versions(part)}
        if version not in known:
            raise UnknownVersionError(part, version, list(known))
        if not self._changing.acquire(blocking=False):
            raise ActivationError(
                "activation_busy", "Another bundle is being loaded.", "Try again when that is done."
            )
        try:
            return self._replace(part, version, known[version], by)
        except Exception as error:
            # ONNX Runtime's own exceptions, for one: a GPU may have no room for a second model.
            log.exception("The bundle %s of %s was not activated.", version, part)
            serving = self._statuses[part].version
            raise ActivationError(
                "activation_failed",
                f"The bundle {version} of {part} was not activated: {error}",
                f"{serving} goes on serving." if serving else "The part is not served.",
            ) from error
        finally:
            self._changing.release()

    def readiness(self) -> Readiness:
        """Whether photos of every part can be inspected now."""
        reasons = [] if self._found else [self._failure or "The bundles are being loaded."]
        reasons += [f"{part}: {s.reason}" for part, s in self._statuses.items() if s.state != "ready"]
        reasons += [
            f"{name}: the canary failed: {part.canary.failure}."
            for name, part in self._parts.items()
            if part.canary.failure
        ]
        for provider, batcher in list(self._batchers.items()):
            if batcher.dead:
                reasons.append(
                    f"The worker of {provider} has died, the service is about to end: {batcher.death}"
                )
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
        self._watch.close()
        for batcher in list(self._batchers.values()):
            batcher.close(timeout)

    def _try_to_load(self, part: str, newest: Path, chosen: str | None) -> None:
        try:
            path = bundle_to_serve(part, newest, chosen)
            loaded = load_part(path, self._settings, self._batcher_of)
            self._take_in(part, loaded)
            self.book.started(part, loaded.inspector.manifest.version)
        except DeviceError as error:
            self._mark_failed(part, str(error))
            if self._settings.device == "cuda":
                raise
        except GlintError as error:
            self._mark_failed(part, str(error))
        except Exception as error:
            # One bad bundle, however it is bad, must neither end the loader nor hide behind `loading`.
            log.exception("The bundle of %s could not be loaded.", part)
            self._mark_failed(part, f"{newest} could not be loaded: {error}")

    def _replace(self, part: str, version: str, path: Path, by: Actor) -> Activated:
        previous = self._statuses[part].version
        loaded = load_part(path, self._settings, self._batcher_of)
        chosen = self._active.read().get(part)
        self._active.choose(part, version)
        try:
            self.book.activated(part, version, previous, by)
        except Exception:
            self._active.choose(part, chosen)
            raise
        self._take_in(part, loaded)
        return Activated(part, version, previous, self._active.kept)

    def _take_in(self, part: str, loaded: LoadedPart) -> None:
        inspector = loaded.inspector
        self._parts = {**self._parts, part: loaded}
        status = PartStatus(
            state="ready",
            version=inspector.manifest.version,
            provider=inspector.provider,
            provider_fallback=inspector.provider_fallback,
            precision=inspector.variant.precision,
            precision_reason=inspector.variant.reason,
        )
        self._statuses = {**self._statuses, part: status}

    def _batcher_of(self, provider: str) -> "Batcher":
        from service.batching import Batcher, buckets_for, lanes_for

        if provider not in self._batchers:
            batcher = Batcher(
                provider,
                buckets=buckets_for(provider),
                capacity=self._settings.queue_size + 1,  # the one more is the canary's
                on_death=self._on_death,
                lanes=lanes_for(provider, self._settings.threads),
            )
            self._batchers = {**self._batchers, provider: batcher}
        return self._batchers[provider]

    def _mark_failed(self, part: str, reason: str) -> None:
        log.error("The part %s cannot be inspected: %s", part, reason)
        self._statuses = {**self._statuses, part: PartStatus(state="failed", reason=reason)}

    def _describe(self, part: str) -> str:
        status = self._statuses[part]
        return f"version {status.version} in {status.precision} on {status.provider}"
