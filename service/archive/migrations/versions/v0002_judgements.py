"""Judgements of people, and the queue of what they are to look at."""

import sqlalchemy as sa
from alembic import op

from service.archive.migrations.append_only import drop_append_only, make_append_only

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# What was recorded before can be reviewed too, except for a sample of the clean ones: that begins now.
_FILL = """
INSERT INTO reviews (inspection_id, time, part, verdict, reason, doubt, state)
SELECT id, time, part, verdict, CASE WHEN verdict = 'clean' THEN 'doubt' ELSE 'defect' END,
       ABS(COALESCE(score, 0.5) - 0.5), 'waiting'
FROM inspections
WHERE photo_state = 'kept' AND verdict <> 'invalid' AND (verdict <> 'clean' OR needs_review)
"""

_FUNCTION = "refuse_judgement_change"


def upgrade() -> None:
    """Make the tables, and put into the queue what belongs there."""
    _make_reviews()
    _make_judgements()
    op.create_index("ix_inspections_counts", "inspections", ["part", "verdict", "needs_review", "time"])
    op.execute(_FILL)


def downgrade() -> None:
    """Remove the tables, and with them every judgement."""
    op.drop_index("ix_inspections_counts", "inspections")
    drop_append_only("judgements", _FUNCTION)
    op.drop_table("reviews")


def _make_reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column(
            "inspection_id",
            sa.String(64),
            sa.ForeignKey("inspections.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("part", sa.String(64), nullable=False),
        sa.Column("verdict", sa.String(256), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("doubt", sa.Float(53), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("judgement_id", sa.String(32)),
        sa.Column("decision", sa.String(16)),
        sa.Column("label", sa.String(64)),
        sa.Column("exported", sa.String(32)),
        sa.Column("holder", sa.String(64)),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
    )
    for name, columns in (
        ("time", ["state", "time", "inspection_id"]),
        ("doubt", ["state", "doubt", "inspection_id"]),
        ("part_time", ["state", "part", "time", "inspection_id"]),
        ("part_doubt", ["state", "part", "doubt", "inspection_id"]),
        ("counts", ["state", "part", "reason"]),
        ("holder", ["holder"]),
    ):
        op.create_index(f"ix_reviews_{name}", "reviews", columns)


def _make_judgements() -> None:
    op.create_table(
        "judgements",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("inspection_id", sa.String(64), sa.ForeignKey("inspections.id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("supersedes", sa.String(32), sa.ForeignKey("judgements.id")),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("label", sa.String(64)),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("operator", sa.String(128), nullable=False),
        sa.Column("key_id", sa.String(32)),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mask", sa.String(200)),
        sa.Column("stands", sa.String(32)),
    )
    op.create_index("ix_judgements_time", "judgements", ["time"])
    op.create_index("ux_judgements_number", "judgements", ["inspection_id", "number"], unique=True)
    make_append_only("judgements", _FUNCTION)
