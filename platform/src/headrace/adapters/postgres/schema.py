"""Headrace's tables, as its queries see them. The migrations create them; a contract test holds the two together."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

METADATA = MetaData(
    naming_convention={"pk": "%(table_name)s_pkey", "ix": "%(table_name)s_%(column_0_N_name)s_index", "fk": "%(table_name)s_fkey"}
)

DATASET_VERSION = Table(
    "dataset_version",
    METADATA,
    Column("dataset", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("location", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("rows", JSONB, nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
)
"""Committed versions; the database refuses to update them."""

MATERIALISATION = Table(
    "materialisation",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("sources", JSONB, nullable=False),
    Column("committed", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["dataset", "version"], ["dataset_version.dataset", "dataset_version.version"]),
    Index(None, "dataset", "id"),
)
"""Which key a version is the result of, in the order of committing."""

DEPLOYMENT = Table(
    "deployment",
    METADATA,
    Column("ensemble", Text, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("slots", JSONB, nullable=False),
    Column("origin", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("verdicts", JSONB, nullable=False),
    Column("rejects", JSONB, nullable=False),
)
"""Revisions of what serves, as they were asked for; the database refuses to update or delete them."""

DEPLOYMENT_EVENT = Table(
    "deployment_event",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("ensemble", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("detail", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("members", JSONB, nullable=False),
    ForeignKeyConstraint(["ensemble", "revision"], ["deployment.ensemble", "deployment.revision"]),
    Index(None, "ensemble", "revision", "id"),
)
"""What happened to them, in the order of recording; `members` where their files were published."""
