"""The catalogue: dataset versions and materialisations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_REFUSE_UPDATES = """
CREATE FUNCTION refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a row of % never changes once committed', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER dataset_version_is_immutable BEFORE UPDATE ON dataset_version
    FOR EACH ROW EXECUTE FUNCTION refuse_update();
CREATE TRIGGER materialisation_is_immutable BEFORE UPDATE ON materialisation
    FOR EACH ROW EXECUTE FUNCTION refuse_update();
"""


def upgrade() -> None:
    """Create both tables, their rows protected against updates."""
    op.create_table(
        "dataset_version",
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("rows", JSONB, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "version", name="dataset_version_pkey"),
    )
    op.create_table(
        "materialisation",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("sources", JSONB, nullable=False),
        sa.Column("committed", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="materialisation_pkey"),
        sa.ForeignKeyConstraint(
            ["dataset", "version"], ["dataset_version.dataset", "dataset_version.version"], name="materialisation_fkey"
        ),
    )
    op.create_index("materialisation_dataset_id_index", "materialisation", ["dataset", "id"])
    op.execute(_REFUSE_UPDATES)
