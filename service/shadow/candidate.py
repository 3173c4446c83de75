"""The candidate as the service sees it: a process that is started, asked, and ended."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from service.shadow.errors import CandidateFaultError, CandidateLostError
from service.shadow.messages import Assignment, Opinion, Ready, Reply, framed

_SECONDS_TO_END = 5.0

_Message = TypeVar("_Message", bound=BaseModel)


class Candidate:
    """A bundle in a process of its own. Use it from one thread at a time; `kill` may come from any."""

    def __init__(self) -> None:
        """Start the process; it knows no bundle yet."""
        self.ready = Ready()
        self._seconds = 0.0
        self._too_late = False
        self._process = _start()

    def prove(self, assignment: Assignment, seconds: float) -> None:
        """Wait until the bundle is loaded and gives its recorded results.

        Args:
            assignment: which bundle, and how it is run.
            seconds: the time that may take; it is ended when it takes longer.

        Raises:
            CandidateLostError: saying why it cannot judge.
        """
        with self._within(seconds):
            self._write(assignment.model_dump_json().encode() + b"\n")
            self.ready = self._read(Ready)
        if self.ready.problem:
            raise CandidateLostError(self.ready.problem)

    def judge(self, photo: bytes, seconds: float) -> Opinion:
        """What it says of an encoded photo.

        Args:
            seconds: the time it may take; it is ended when it takes longer.

        Raises:
            CandidateFaultError: when it failed on this photo.
            CandidateLostError: when it is of no use any more.
        """
        with self._within(seconds):
            self._write(framed(photo))
            reply = self._read(Reply)
        if reply.untrusted:
            raise CandidateLostError(reply.fault)
        if reply.opinion is None:
            raise CandidateFaultError(reply.fault)
        return reply.opinion

    def kill(self) -> None:
        """End its process at once; whoever waits for it hears that it is lost."""
        self._process.kill()

    def close(self) -> None:
        """End it, and let go of all that belongs to it."""
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):  # what was not sent has nobody to go to
                    stream.close()

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        self._seconds = seconds
        # A pipe that nobody reads or fills blocks for ever, unless its other end is gone.
        timer = threading.Timer(seconds, self._end_late_process)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end_late_process(self) -> None:
        self._too_late = True
        self._process.kill()

    def _lost(self) -> CandidateLostError:
        if self._too_late:
            return CandidateLostError(f"it did not answer within {self._seconds:.0f} s")
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        return CandidateLostError(f"its process has ended with exit code {self._process.returncode}")

    def _write(self, data: bytes) -> None:
        try:
            if self._process.stdin is not None:
                self._process.stdin.write(data)
                self._process.stdin.flush()
        except (OSError, ValueError):
            raise self._lost() from None

    def _read(self, kind: type[_Message]) -> _Message:
        try:
            line = self._process.stdout.readline() if self._process.stdout is not None else b""
        except (OSError, ValueError):
            line = b""
        if not line.endswith(b"\n"):
            raise self._lost()
        try:
            return kind.model_validate_json(line)
        except ValidationError:
            raise CandidateLostError("its process said what cannot be understood") from None


def _start() -> subprocess.Popen[bytes]:
    # It needs no setting but its assignment, and no password of another.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GLINT_")}
    return subprocess.Popen(
        # Modules are not looked for in the folder that the service happens to run in.
        [sys.executable, "-P", "-m", "service.shadow.child"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C in the terminal is for the service. In a session of its own the low priority would count for
        # little, since Linux may share out the cores among sessions first.
        process_group=0,
    )
