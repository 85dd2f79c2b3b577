"""The history of deployments: revisions of what serves, and their events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

_REFUSE_CHANGES = """
CREATE TRIGGER deployment_is_immutable BEFORE UPDATE OR DELETE ON deployment
    FOR EACH ROW EXECUTE FUNCTION refuse_update();
CREATE TRIGGER deployment_event_is_immutable BEFORE UPDATE OR DELETE ON deployment_event
    FOR EACH ROW EXECUTE FUNCTION refuse_update();
"""


def upgrade() -> None:
    """Create both tables, their rows protected against updates and deletion."""
    op.create_table(
        "deployment",
        sa.Column("ensemble", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("slots", JSONB, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("verdicts", JSONB, nullable=False),
        sa.Column("rejects", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("ensemble", "revision", name="deployment_pkey"),
    )
    op.create_table(
        "deployment_event",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("ensemble", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("members", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("id", name="deployment_event_pkey"),
        sa.ForeignKeyConstraint(
            ["ensemble", "revision"], ["deployment.ensemble", "deployment.revision"], name="deployment_event_fkey"
        ),
    )
    op.create_index("deployment_event_ensemble_revision_id_index", "deployment_event", ["ensemble", "revision", "id"])
    op.execute(_REFUSE_CHANGES)
