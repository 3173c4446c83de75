"""What was said of an inspection, read from the database."""

from sqlalchemy import Connection, select

from service.archive.tables import judgements
from service.review.judgements import Judgement


def history(connection: Connection, inspection_id: str) -> list[Judgement]:
    """All judgements of an inspection, the first one first."""
    column = judgements.c
    rows = connection.execute(
        select(judgements).where(column.inspection_id == inspection_id).order_by(column.number)
    )
    return [Judgement(**row._mapping) for row in rows]
