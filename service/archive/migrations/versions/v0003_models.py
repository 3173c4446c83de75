"""Which bundle was put in place, by whom; and what bundles said that judged beside the active one."""

import sqlalchemy as sa
from alembic import op

from service.archive.migrations.append_only import drop_append_only, make_append_only

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FUNCTION = "refuse_activation_change"


def upgrade() -> None:
    """Make the tables, and let numbers of one bundle be counted in the index."""
    _index_counts("part", "verdict", "needs_review", "time", "bundle_version")
    _make_activations()
    _make_shadow_verdicts()


def downgrade() -> None:
    """Remove the tables, and with them the history of activations."""
    op.drop_table("shadow_verdicts")
    drop_append_only("activations", _FUNCTION)
    _index_counts("part", "verdict", "needs_review", "time")


def _index_counts(*columns: str) -> None:
    op.drop_index("ix_inspections_counts", "inspections")
    op.create_index("ix_inspections_counts", "inspections", columns)


def _make_activations() -> None:
    op.create_table(
        "activations",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("part", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("previous", sa.String(64)),
        sa.Column("by_name", sa.String(128), nullable=False),
        sa.Column("key_id", sa.String(32)),
    )
    op.create_index("ix_activations_part", "activations", ["part", "number"])
    make_append_only("activations", _FUNCTION)


def _make_shadow_verdicts() -> None:
    op.create_table(
        "shadow_verdicts",
        sa.Column(
            "inspection_id",
            sa.String(64),
            sa.ForeignKey("inspections.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("version", sa.String(64), primary_key=True),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("part", sa.String(64), nullable=False),
        sa.Column("verdict", sa.String(256), nullable=False),
        sa.Column("score", sa.Float(53)),
        sa.Column("anomaly_score", sa.Float(53)),
        sa.Column("defect_probability", sa.Float(53)),
        sa.Column("needs_review", sa.Boolean, nullable=False),
        sa.Column("active_version", sa.String(64), nullable=False),
        sa.Column("active_verdict", sa.String(256), nullable=False),
        sa.Column("flipped", sa.Boolean, nullable=False),
    )
    alike = ["part", "version", "active_version"]
    op.create_index("ix_shadow_counts", "shadow_verdicts", [*alike, "active_verdict", "verdict"])
    op.create_index("ix_shadow_flips", "shadow_verdicts", [*alike, "flipped", "time"])
