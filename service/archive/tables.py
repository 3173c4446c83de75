"""The tables, and the indices that the queries need. `migrations/` makes them; a test compares the two."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
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
    # Numbers are counted in it, without a look at the wide rows.
    Index("ix_inspections_counts", "part", "verdict", "needs_review", "time", "bundle_version"),
)

# What a person is to look at, or has looked at: one row an inspection, with what stands of its judgements.
reviews = Table(
    "reviews",
    metadata,
    Column("inspection_id", ForeignKey("inspections.id", ondelete="CASCADE"), primary_key=True),
    Column("time", UtcDateTime, nullable=False),
    Column("part", String(64), nullable=False),
    Column("verdict", String(256), nullable=False),
    # defect, doubt, sample (of the clean ones), or chosen by a person.
    Column("reason", String(16), nullable=False),
    # How far the score lies from the limit, 0..0.5: the nearest is the most doubtful.
    Column("doubt", Float(53), nullable=False),
    # waiting, judged, or gone: its photo went before anybody judged it.
    Column("state", String(16), nullable=False),
    Column("judgement_id", String(32)),
    Column("decision", String(16)),
    Column("label", String(64)),
    # The judgement with which it last went into a data set.
    Column("exported", String(32)),
    Column("holder", String(64)),
    Column("lease_until", UtcDateTime),
    Index("ix_reviews_time", "state", "time", "inspection_id"),
    Index("ix_reviews_doubt", "state", "doubt", "inspection_id"),
    Index("ix_reviews_part_time", "state", "part", "time", "inspection_id"),
    Index("ix_reviews_part_doubt", "state", "part", "doubt", "inspection_id"),
    Index("ix_reviews_counts", "state", "part", "reason"),
    Index("ix_reviews_holder", "holder"),
)

# What people said, for ever: triggers refuse to change or remove a row.
judgements = Table(
    "judgements",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("inspection_id", ForeignKey("inspections.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("supersedes", ForeignKey("judgements.id")),
    Column("decision", String(16), nullable=False),
    Column("label", String(64)),
    Column("note", Text, nullable=False),
    Column("operator", String(128), nullable=False),
    Column("key_id", String(32)),
    Column("time", UtcDateTime, nullable=False),
    Column("mask", String(200)),
    # What stands once this was said: itself, or after an undo what stood before.
    Column("stands", String(32)),
    Index("ix_judgements_time", "time"),
    # Of two judgements that name the same predecessor, the database lets one in.
    Index("ux_judgements_number", "inspection_id", "number", unique=True),
)

# Which bundle was put in place, for ever: triggers refuse to change or remove a row.
activations = Table(
    "activations",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("time", UtcDateTime, nullable=False),
    Column("part", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("previous", String(64)),
    Column("by_name", String(128), nullable=False),
    Column("key_id", String(32)),
    Index("ix_activations_part", "part", "number"),
)

# What a bundle said of a photo that another one had judged; it goes with the inspection.
shadow_verdicts = Table(
    "shadow_verdicts",
    metadata,
    Column("inspection_id", ForeignKey("inspections.id", ondelete="CASCADE"), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("time", UtcDateTime, nullable=False),
    Column("part", String(64), nullable=False),
    Column("verdict", String(256), nullable=False),
    Column("score", Float(53)),
    Column("anomaly_score", Float(53)),
    Column("defect_probability", Float(53)),
    Column("needs_review", Boolean, nullable=False),
    Column("active_version", String(64), nullable=False),
    Column("active_verdict", String(256), nullable=False),
    # One of the two passed the part, rejected it, or gave no verdict, and the other did not.
    Column("flipped", Boolean, nullable=False),
    Index("ix_shadow_counts", "part", "version", "active_version", "active_verdict", "verdict"),
    Index("ix_shadow_flips", "part", "version", "active_version", "flipped", "time"),
)

# The services that write here. A service that ends as it should takes its row away; one that was killed
# leaves it, and with it the time around which it may have left photos without a row.
writers = Table(
    "writers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("alive_at", UtcDateTime, nullable=False),
)
