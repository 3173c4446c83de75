"""The tables, and the indices that the queries need. `migrations/` makes them; a test compares the two."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware in Python, UTC in the database, whichever it is."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; SQLite keeps no zone, so UTC is written."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be kept")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give the time its zone back."""
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

inspections = Table(
    "inspections",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("time", UtcDateTime, nullable=False),
    Column("part", String(64), nullable=False),
    Column("serial", String(128)),
    Column("camera", String(128)),
    Column("verdict", String(256), nullable=False),
    Column("score", Float(53)),
    Column("needs_review", Boolean, nullable=False),
    Column("anomaly_score", Float(53)),
    Column("anomaly_limit", Float(53), nullable=False),
    Column("defect_probability", Float(53)),
    Column("classifier_limit", Float(53)),
    Column("rules", String(64), nullable=False),
    Column("bundle_version", String(64), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("request_key", String(300)),
    Column("image_sha256", String(64), nullable=False),
    Column("image_bytes", Integer, nullable=False),
    Column("image_media_type", String(32), nullable=False),
    Column("answer", Text, nullable=False),
    Column("photo_state", String(16), nullable=False),
    Column("photo", String(200)),
    Column("overlay", String(200)),
    # Newest first, for each filter that is likely to be the narrowest.
    Index("ix_inspections_time", "time", "id"),
    Index("ix_inspections_part", "part", "time", "id"),
    Index("ix_inspections_camera", "camera", "time", "id"),
    Index("ix_inspections_serial", "serial", "time", "id"),
    Index("ix_inspections_verdict", "verdict", "time", "id"),
    Index("ix_inspections_review", "needs_review", "time", "id"),
    # For retention, which looks for the oldest photos.
    Index("ix_inspections_photo", "photo_state", "time"),
    # Of two equal requests at the same time, the database lets one in.
    Index("ux_inspections_request", "part", "request_key", unique=True),
)

# The services that write here. A service that ends as it should takes its row away; one that was killed
# leaves it, and with it the time around which it may have left photos without a row.
writers = Table(
    "writers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("alive_at", UtcDateTime, nullable=False),
)
