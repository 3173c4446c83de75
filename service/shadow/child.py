"""The candidate's process: it proves a bundle and judges photos, with what the service leaves over.

A process of its own, since nothing that goes wrong in it can then reach a camera, and since a thread of low
priority would hold Python's lock while others wait for it.
"""

import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from models.decision import INVALID
from models.errors import PhotoError
from service.errors import reason_of
from service.shadow.messages import Assignment, Opinion, Ready, Reply, receive_photo

if TYPE_CHECKING:
    from models.answer import Inspection
    from models.inspector import Inspector

_LOWEST_PRIORITY = 19
# The kernel ends this process first when memory runs out.
_FIRST_TO_GO = "1000"
_CPU_THREADS = 1


def main() -> int:
    """Judge until there are no more photos."""
    _step_back()
    # What a library prints must not be taken for a reply.
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return work(sys.stdin.buffer, replies)


def work(orders: BinaryIO, replies: BinaryIO) -> int:
    """Read the assignment and then photos, write what becomes of them; return the exit code."""
    assignment = Assignment.model_validate_json(orders.readline())
    try:
        judge = Judge(assignment)
    except Exception as error:
        # Of the bundle, the device, or ONNX Runtime: whoever asked for it is told.
        _say(replies, Ready(problem=reason_of(error)))
        return 1
    _say(replies, Ready(provider=judge.inspector.provider, precision=judge.inspector.variant.precision))
    while (photo := receive_photo(orders)) is not None:
        _say(replies, judge.reply(photo))
    return 0


def _step_back() -> None:
    """Take only what others leave, of the cores and of the memory."""
    os.nice(_LOWEST_PRIORITY)
    if sys.platform == "linux":
        # It gives way as soon as a thread of the service wakes up; those of a run wake up at every layer.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
            score.write(_FIRST_TO_GO)


class Judge:
    """A candidate that is loaded and gives its recorded results."""

    def __init__(self, assignment: Assignment) -> None:
        """
        Raises:
            BundleError: when it cannot be trusted, or gives other results than when it was made.
            Exception: whatever else stands in the way of loading it.
        """
        self._limits = assignment.limits
        self._seconds = assignment.canary_seconds
        self.inspector = _load(assignment)
        self._due = time.monotonic() + self._seconds

    def reply(self, photo: bytes) -> Reply:
        """Judge a photo; look at the golden ones first, if it is time to."""
        try:
            if time.monotonic() >= self._due:
                if differences := self.inspector.check_golden():
                    return Reply(fault=f"golden photos differ: {'; '.join(differences)}", untrusted=True)
                self._due = time.monotonic() + self._seconds
            inspection, _, _ = self.inspector.inspect(photo, self._limits)
        except PhotoError:
            # The active bundle could read it, and this one gives no verdict.
            return Reply(opinion=Opinion(verdict=INVALID))
        except Exception as error:
            return Reply(fault=reason_of(error))
        return Reply(opinion=_opinion_of(inspection))


def _load(assignment: Assignment) -> "Inspector":
    import cv2

    from models.errors import BundleError
    from models.inspector import Inspector

    cv2.setNumThreads(_CPU_THREADS)
    inspector = Inspector.load(
        assignment.bundle,
        assignment.device,
        _CPU_THREADS,
        cuda=assignment.cuda,
        precision=assignment.precision,
    )
    inspector.warm_up(1)
    if inspector.engines:
        inspector.engines.check()
    if differences := inspector.check_golden():
        raise BundleError(
            f"{assignment.bundle}: golden photos differ: {'; '.join(differences)}.",
            "Check the bundle with `glint verify`, or train it again.",
        )
    return inspector


def _opinion_of(inspection: "Inspection") -> Opinion:
    return Opinion(
        verdict=inspection.verdict,
        score=inspection.score,
        anomaly_score=inspection.anomaly.score,
        defect_probability=inspection.classifier.defect_probability,
        needs_review=inspection.needs_review,
    )


def _say(replies: BinaryIO, message: Ready | Reply) -> None:
    replies.write(message.model_dump_json().encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
