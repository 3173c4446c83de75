"""The shadow runs of all parts: one candidate a part at most, kept over a restart."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from models.errors import GlintError
from models.formats import PhotoLimits
from service.errors import UnknownVersionError
from service.orders import Seen
from service.registry import Registry
from service.settings import Settings
from service.shadow.candidate import Candidate
from service.shadow.errors import CandidateLostError, NoShadowError, ShadowError
from service.shadow.ledger import Ledger
from service.shadow.messages import Assignment
from service.shadow.run import Counts, ShadowRun
from service.versions import SHADOWS, Choices, Version

# It gets what the line leaves of the cores, so these are for what hangs, and not for what is slow.
_SECONDS_TO_PROVE = 300.0
_SECONDS_FOR_A_PHOTO = 600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShadowStatus:
    """How a shadow run is.

    Attributes:
        failure: why it judges nothing any more; empty while it does.
        since: when it began; None if it never did.
        provider, precision: what the candidate really runs on, and in.
        last_fault: why the last photo that it failed on got no opinion.
        kept: whether the choice outlives a restart.
    """

    part: str
    version: str
    state: Literal["running", "failed"]
    failure: str
    since: datetime | None
    provider: str
    precision: str
    counts: Counts
    last_fault: str
    kept: bool


class Shadows:
    """Begins and ends shadow runs, and hands photos to them. Safe to call from several threads."""

    def __init__(
        self, registry: Registry, settings: Settings, ledger: Ledger, is_busy: Callable[[], bool]
    ) -> None:
        """`is_busy` says whether any photo is being inspected; then no candidate begins with one."""
        self.ledger = ledger
        self._is_busy = is_busy
        self._registry = registry
        self._settings = settings
        self._choices = Choices(settings.state, SHADOWS)
        # One candidate is loaded at a time, which may take minutes; what runs is changed in a moment, so that
        # nobody who activates a bundle or ends a run waits for a candidate.
        self._one_loads = threading.Lock()
        self._changing = threading.Lock()
        self._counting = threading.Lock()
        self._runs: dict[str, ShadowRun] = {}
        self._refused: dict[str, tuple[str, str]] = {}  # at the start: version and reason, by part
        self._ended: dict[str, Counts] = {}
        self._loading: Candidate | None = None
        self._closed = False

    def seen(self, seen: Seen) -> None:
        """Take a photo that was judged; costs nothing where no candidate runs."""
        run = self._runs.get(seen.inspection.part)
        if run is not None:
            run.offer(seen)

    def start(self, part: str, version: str) -> ShadowStatus:
        """Load a bundle in a process of its own, prove it, and let it judge what the active one has judged.

        It takes the place of the candidate before, which goes on if anything is wrong with this one.

        Raises:
            UnknownPartError, UnknownVersionError, NotReadyError: when there is nothing to run.
            ShadowError: when it serves already, cannot be trusted, or another one is being loaded.
        """
        found = {each.name: each for each in self._registry.versions(part)}
        if version not in found:
            raise UnknownVersionError(part, version, list(found))
        if not self._one_loads.acquire(blocking=False):
            raise ShadowError(
                "Another candidate is being loaded.", "Try again when that is done.", "shadow_busy"
            )
        try:
            self._begin(part, found[version], chosen_now=True)
        finally:
            self._one_loads.release()
        return self.status(part)

    def stop(self, part: str) -> None:
        """End the run of a part; what was said stays.

        Raises:
            UnknownPartError, NotReadyError: when there is no such part.
            NoShadowError: when nothing runs in its shadow.
        """
        self._registry.check_known(part)
        with self._changing:
            if part not in self._runs and part not in self._refused:
                raise NoShadowError(part)
            self._forget(part)

    def activated(self, part: str, version: str) -> None:
        """A candidate that serves now has no need of a shadow run."""
        with self._changing:
            status = self.find(part)
            if status is not None and status.version == version:
                self._forget(part)

    def status(self, part: str) -> ShadowStatus:
        """How the run of a part is.

        Raises:
            NoShadowError: when there is none.
        """
        run, refused = self._runs.get(part), self._refused.get(part)
        kept = self._choices.kept
        if run is not None:
            return ShadowStatus(
                part=part,
                version=run.version,
                state="failed" if run.failure else "running",
                failure=run.failure,
                since=run.since,
                provider=run.ready.provider,
                precision=run.ready.precision,
                counts=run.counts,
                last_fault=run.last_fault,
                kept=kept,
            )
        if refused is None:
            raise NoShadowError(part)
        return ShadowStatus(part, refused[0], "failed", refused[1], None, "", "", Counts(), "", kept)

    def find(self, part: str) -> ShadowStatus | None:
        """The same, or None."""
        try:
            return self.status(part)
        except NoShadowError:
            return None

    def all(self) -> list[ShadowStatus]:
        """How the runs of all parts are."""
        found = (self.find(part) for part in sorted({*self._runs, *self._refused}))
        return [status for status in found if status is not None]

    def counts(self) -> dict[str, Counts]:
        """What was counted since the service started, by part; it never becomes less."""
        with self._counting:
            found = dict(self._ended)
            for part, run in self._runs.items():
                found[part] = found.get(part, Counts()) + run.counts
            return found

    def resume(self) -> None:
        """Go on with the runs that were chosen before the service was restarted; raises nothing."""
        try:
            chosen = self._choices.read()
        except GlintError as error:
            log.error("No shadow run goes on: %s", error)
            return
        for part, version in chosen.items():
            with self._one_loads:
                self._resume_one(part, version)

    def close(self) -> None:
        """End all runs; they go on after the next start."""
        self._closed = True
        if (loading := self._loading) is not None:
            loading.kill()
        with self._changing:
            for part in list(self._runs):
                self._end(part)

    def _resume_one(self, part: str, version: str) -> None:
        try:
            if self._closed or part in self._runs or self._choices.read().get(part) != version:
                return  # the service ends, or somebody has chosen otherwise while the others were loaded
            found = {each.name: each for each in self._registry.versions(part)}
            if version not in found:
                raise UnknownVersionError(part, version, list(found))
            self._begin(part, found[version], chosen_now=False)
        except Exception as error:
            # Whatever it was, photos are inspected without a candidate.
            log.error("The shadow run of %s %s does not go on: %s", part, version, error)
            with self._changing:
                self._refused = {**self._refused, part: (version, str(error))}

    def _begin(self, part: str, version: Version, *, chosen_now: bool) -> None:
        self._check(part, version)
        candidate = self._prove(part, version)
        try:
            with self._changing:
                self._check(part, version)  # it may have been activated meanwhile
                if chosen_now:
                    self._keep(part, version.name)
                self._end(part)
                run = ShadowRun(
                    part,
                    version.name,
                    candidate,
                    self.ledger,
                    is_busy=self._is_busy,
                    seconds=_SECONDS_FOR_A_PHOTO,
                )
                self._runs = {**self._runs, part: run}
        except BaseException:
            candidate.close()
            raise
        log.info("%s %s runs in the shadow on %s.", part, version.name, candidate.ready.provider)

    def _check(self, part: str, version: Version) -> None:
        if self._closed:
            raise ShadowError("The service ends.", "Try again when it has been started.")
        active = self._registry.loaded.get(part)
        if active is None:
            raise ShadowError(f"No bundle of {part} serves, so none can run beside it.", "See /readyz.")
        if active.inspector.bundle.path == version.path:
            raise ShadowError(f"{version.name} serves already.", "Name another version.")
        if version.problem:
            raise ShadowError(version.problem, "Name another version.")

    def _keep(self, part: str, version: str) -> None:
        try:
            self._choices.choose(part, version)
        except (OSError, GlintError) as error:
            raise ShadowError(f"The choice cannot be kept: {error}", "See GLINT_STATE.") from error

    def _prove(self, part: str, version: Version) -> Candidate:
        try:
            self._loading = candidate = Candidate()
        except OSError as error:
            raise ShadowError(
                f"No process can be started for the candidate: {error}.",
                "Look at the memory and the processes of this machine.",
            ) from error
        try:
            if self._closed:  # whoever closed may have come too early to end it
                candidate.kill()
            candidate.prove(self._assignment(version), _SECONDS_TO_PROVE)
        except CandidateLostError as error:
            candidate.close()
            raise ShadowError(
                f"The bundle {version.name} of {part} cannot run in the shadow: {str(error).rstrip('.')}.",
                "Check it with `glint verify`. Nothing else has changed.",
            ) from error
        except BaseException:
            candidate.close()
            raise
        finally:
            self._loading = None
        return candidate

    def _assignment(self, version: Version) -> Assignment:
        settings = self._settings
        return Assignment(
            bundle=version.path.resolve(),
            device=settings.device,
            precision=settings.precision,
            cuda=settings.cuda(),
            limits=PhotoLimits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels),
            canary_seconds=settings.canary_seconds,
        )

    def _forget(self, part: str) -> None:
        self._end(part)
        try:
            self._choices.choose(part, None)
        except (OSError, GlintError) as error:
            log.error("The next start will take up the shadow run of %s again: %s", part, error)

    def _end(self, part: str) -> None:
        self._refused = {name: each for name, each in self._refused.items() if name != part}
        run = self._runs.get(part)
        if run is not None:
            run.close()
            with self._counting:
                self._runs = {name: each for name, each in self._runs.items() if name != part}
                self._ended[part] = self._ended.get(part, Counts()) + run.counts
