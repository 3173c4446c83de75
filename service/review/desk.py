"""The desk at which operators judge: the queue, its leases, and what was said. No HTTP in here."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import func, select

from models.decision import ANOMALOUS, CLEAN
from service.archive.errors import UnknownInspectionError
from service.archive.holdings import Holdings
from service.archive.queries import find, find_all
from service.archive.records import Record
from service.archive.scored import RecentScores
from service.archive.scores import recent_scores
from service.archive.tables import reviews
from service.review import queue
from service.review.errors import HeldError, NoMaskError, UnknownJudgementError
from service.review.figures import Numbers, Period
from service.review.history import history
from service.review.items import Counts, Item, Wish
from service.review.judgements import Judgement, Opinion
from service.review.judging import judge
from service.review.numbers import numbers


class Desk:
    """Safe to call from several threads.

    Every method may raise `ArchiveBusyError` and `ArchiveUnavailableError`.
    """

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._database = holdings.database

    def judge(self, inspection_id: str, opinion: Opinion) -> Judgement:
        """See `judging.judge`."""
        with self._holdings.turn():
            return judge(self._holdings, inspection_id, opinion)

    def history(self, inspection_id: str) -> list[Judgement]:
        """All judgements of an inspection, the first one first.

        Raises:
            UnknownInspectionError: when there is no such inspection.
        """
        with self._holdings.reading() as connection:
            past = history(connection, inspection_id)
            if not past and find(connection, inspection_id) is None:
                raise UnknownInspectionError(inspection_id)
        return past

    def mask(self, inspection_id: str, judgement_id: str) -> bytes:
        """The mask of a judgement: a PNG of one channel, 0 and 255, at the upright photo's size.

        Raises:
            UnknownJudgementError, NoMaskError: when there is none.
        """
        judgement = next((item for item in self.history(inspection_id) if item.id == judgement_id), None)
        if judgement is None:
            raise UnknownJudgementError(judgement_id)
        if judgement.mask is None:
            raise NoMaskError
        try:
            return self._holdings.picture(judgement.mask)
        except FileNotFoundError:
            raise NoMaskError from None

    def waiting(self, wish: Wish, limit: int) -> list[Item]:
        """The first items of the queue."""
        with self._holdings.reading() as connection:
            return queue.waiting(connection, wish, limit, datetime.now(UTC))

    def counts(self, part: str | None = None) -> Counts:
        """How much there is to do, and how much was done."""
        with self._holdings.reading() as connection:
            return queue.counts(connection, part)

    def parts(self) -> list[str]:
        """The parts of which something is, or was, in the queue."""
        with self._holdings.reading() as connection:
            return list(connection.scalars(select(reviews.c.part).distinct().order_by(reviews.c.part)))

    def classes(self, part: str) -> list[str]:
        """The defect classes that people have named on this part, the commonest first."""
        column = reviews.c
        named = select(column.label).where(
            column.state == "judged", column.part == part, column.label.not_in((CLEAN, ANOMALOUS))
        )
        named = named.group_by(column.label).order_by(func.count().desc(), column.label)
        with self._holdings.reading() as connection:
            return [str(label) for label in connection.scalars(named)]

    def numbers(self, period: Period) -> Numbers:
        """What the judgements of a period say of the service."""
        with self._holdings.reading() as connection:
            return numbers(connection, period, self._holdings.samples)

    def recent_scores(self, part: str, version: str | None, last: int) -> RecentScores:
        """The scores of the newest `last` inspections of a part; None for the newest one's version."""
        with self._holdings.reading() as connection:
            return recent_scores(connection, part, version, last)

    def records(self, ids: Sequence[str]) -> list[Record]:
        """The inspections with these ids, in this order; those that are gone are left out."""
        with self._holdings.reading() as connection:
            return find_all(connection, ids)

    def take(self, holder: str, wish: Wish) -> str | None:
        """Lease the next item; its inspection's id, or None when nothing waits that nobody has."""
        with self._holdings.turn():
            return queue.take(self._database, holder, wish, datetime.now(UTC))

    def hold(self, inspection_id: str, holder: str) -> None:
        """Lease this item, or renew its lease. Does nothing for one that does not wait.

        Raises:
            HeldError: when another operator has it.
        """
        with self._holdings.turn():
            now = datetime.now(UTC)
            if queue.hold(self._database, inspection_id, holder, now):
                return
            with self._database.reading() as connection:
                if queue.is_held(connection, inspection_id, now):
                    raise HeldError

    def release(self, inspection_id: str, holder: str, *, put_off: bool = False) -> None:
        """Give an item back: for anybody at once, or `put_off` for later."""
        give = queue.put_off if put_off else queue.release
        with self._holdings.turn():
            give(self._database, inspection_id, holder, datetime.now(UTC))
