"""The first schema: inspections, and the services that write them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "inspections",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("part", sa.String(64), nullable=False),
        sa.Column("serial", sa.String(128)),
        sa.Column("camera", sa.String(128)),
        sa.Column("verdict", sa.String(256), nullable=False),
        sa.Column("score", sa.Float(53)),
        sa.Column("needs_review", sa.Boolean, nullable=False),
        sa.Column("anomaly_score", sa.Float(53)),
        sa.Column("anomaly_limit", sa.Float(53), nullable=False),
        sa.Column("defect_probability", sa.Float(53)),
        sa.Column("classifier_limit", sa.Float(53)),
        sa.Column("rules", sa.String(64), nullable=False),
        sa.Column("bundle_version", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("request_key", sa.String(300)),
        sa.Column("image_sha256", sa.String(64), nullable=False),
        sa.Column("image_bytes", sa.Integer, nullable=False),
        sa.Column("image_media_type", sa.String(32), nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("photo_state", sa.String(16), nullable=False),
        sa.Column("photo", sa.String(200)),
        sa.Column("overlay", sa.String(200)),
    )
    op.create_index("ix_inspections_time", "inspections", ["time", "id"])
    for column in ("part", "camera", "serial", "verdict"):
        op.create_index(f"ix_inspections_{column}", "inspections", [column, "time", "id"])
    op.create_index("ix_inspections_review", "inspections", ["needs_review", "time", "id"])
    op.create_index("ix_inspections_photo", "inspections", ["photo_state", "time"])
    op.create_index("ux_inspections_request", "inspections", ["part", "request_key"], unique=True)
    op.create_table(
        "writers",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("alive_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Remove the tables, and with them everything recorded."""
    op.drop_table("writers")
    op.drop_table("inspections")
