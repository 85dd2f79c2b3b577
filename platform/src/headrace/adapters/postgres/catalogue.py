"""The catalogue in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Row, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from headrace.adapters.postgres.engine import answering, open_engine
from headrace.adapters.postgres.schema import DATASET_VERSION, MATERIALISATION
from headrace.errors import CorruptError, NotFoundError
from headrace.specs.dataset import DatasetVersion, Materialisation


class PostgresCatalogue:
    """Implements `ports.catalogue.Catalogue`.

    Args:
        url: as for `open_engine`.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)

    def commit(self, materialisation: Materialisation) -> None:
        """See the port."""
        version = materialisation.version
        with answering(self._engine), self._engine.begin() as connection:
            statement = insert_or_skip(DATASET_VERSION).values(version.model_dump(mode="json")).on_conflict_do_nothing()
            if connection.execute(statement).rowcount == 0:
                _check_same(connection, version)
                return
            connection.execute(
                insert(MATERIALISATION).values(
                    dataset=version.dataset,
                    version=version.version,
                    key=materialisation.key,
                    sources=[stamp.model_dump(mode="json") for stamp in materialisation.sources],
                )
            )

    def latest(self, dataset: str) -> Materialisation | None:
        """See the port."""
        statement = (
            select(MATERIALISATION.c.key, MATERIALISATION.c.sources, DATASET_VERSION)
            .join(DATASET_VERSION)
            .where(MATERIALISATION.c.dataset == dataset)
            .order_by(MATERIALISATION.c.id.desc())
            .limit(1)
        )
        with answering(self._engine), self._engine.connect() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        return Materialisation(key=row.key, sources=row.sources, version=_version(row))

    def versions(self, dataset: str) -> Sequence[DatasetVersion]:
        """See the port."""
        statement = (
            select(DATASET_VERSION)
            .join(MATERIALISATION)
            .where(DATASET_VERSION.c.dataset == dataset)
            .order_by(MATERIALISATION.c.id)
        )
        with answering(self._engine), self._engine.connect() as connection:
            return [_version(row) for row in connection.execute(statement)]

    def version(self, dataset: str, version: str) -> DatasetVersion:
        """See the port."""
        with answering(self._engine), self._engine.connect() as connection:
            return _one_version(connection, dataset, version)


def _one_version(connection: Connection, dataset: str, version: str) -> DatasetVersion:
    table = DATASET_VERSION.c
    row = connection.execute(select(DATASET_VERSION).where(table.dataset == dataset, table.version == version)).one_or_none()
    if row is None:
        raise NotFoundError(
            f"dataset {dataset} has no version {version}",
            where="the catalogue",
            remedy="Ingest the dataset, or use a version that exists.",
        )
    return _version(row)


def _check_same(connection: Connection, version: DatasetVersion) -> None:
    known = _one_version(connection, version.dataset, version.version)
    if (known.digest, known.location) != (version.digest, version.location):
        raise CorruptError(
            f"version {version.version} of dataset {version.dataset} is already committed with other content",
            where=known.location,
            remedy="Versions are immutable: commit the content as a new version.",
        )


def _version(row: Row[tuple[object, ...]]) -> DatasetVersion:
    fields = row._mapping
    return DatasetVersion.model_validate({name: fields[name] for name in DatasetVersion.model_fields})
