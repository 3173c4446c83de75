"""Which inspections are asked for, and from where on: what callers say without knowing the database."""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from models.decision import CLEAN
from service.errors import RequestError


@dataclass(frozen=True)
class Filters:
    """Which inspections are wanted; None does not restrict. `since` is included, `until` is not."""

    since: datetime | None = None
    until: datetime | None = None
    part: str | None = None
    serial: str | None = None
    camera: str | None = None
    verdict: str | None = None
    needs_review: bool | None = None

    def narrowest(self) -> str | None:
        """The filter that is likely to leave the fewest inspections."""
        candidates = (
            ("serial", self.serial is not None),
            ("needs_review", self.needs_review is True),
            ("verdict", self.verdict not in (None, CLEAN)),
            ("camera", self.camera is not None),
            ("part", self.part is not None),
            ("verdict", self.verdict is not None),
            ("needs_review", self.needs_review is not None),
        )
        return next((name for name, narrow in candidates if narrow), None)


@dataclass(frozen=True)
class Cursor:
    """Where the next page begins: behind this inspection."""

    time: datetime
    id: str

    def encode(self) -> str:
        """As text that callers need not understand."""
        return base64.urlsafe_b64encode(json.dumps([self.time.isoformat(), self.id]).encode()).decode()

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """
        Raises:
            RequestError: `bad_field`, when it is not one of ours.
        """
        try:
            time, inspection_id = json.loads(base64.b64decode(text.encode(), altchars=b"-_", validate=True))
            moment = datetime.fromisoformat(time)
            if moment.tzinfo is None or not isinstance(inspection_id, str) or not inspection_id.isalnum():
                raise ValueError("the cursor holds something else")
            return cls(moment.astimezone(UTC), inspection_id)
        except (ValueError, TypeError, binascii.Error, OverflowError, RecursionError) as error:
            raise RequestError(
                "bad_field",
                f"The cursor {text[:32]!r} cannot be read.",
                "Pass on `next_cursor` of the page before as it is, or leave it out.",
            ) from error
