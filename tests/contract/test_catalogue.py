"""The catalogue: one contract, on the fake and on a real PostgreSQL; and what only the real one has, its schema."""

import hashlib
import multiprocessing
import uuid
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from fakes import FakeCatalogue
from headrace.adapters.postgres.catalogue import PostgresCatalogue
from headrace.adapters.postgres.engine import open_engine
from headrace.adapters.postgres.migrations import VERSION_TABLE, upgrade
from headrace.adapters.postgres.schema import METADATA
from headrace.errors import CorruptError, InvalidSpecError, NotFoundError, UnavailableError
from headrace.specs.dataset import DatasetVersion, Materialisation, SourceStamp, Split


@pytest.fixture(params=["fake", "postgres"])
def catalogue(request):
    if request.param == "fake":
        return FakeCatalogue()
    return PostgresCatalogue(request.getfixturevalue("postgres_url"))


@pytest.fixture
def dataset():
    """A name no other test uses: they share a database."""
    return f"shoes-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def empty_database(postgres_url):
    """The URL of a database without tables."""
    name = f"empty_{uuid.uuid4().hex[:8]}"
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield postgres_url.rpartition("/")[0] + f"/{name}"
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def digest(content):
    return hashlib.sha256(content.encode()).hexdigest()


def materialisation(dataset, number, *, key="key", content="content"):
    version = DatasetVersion(
        dataset=dataset,
        version=f"v{number}",
        location=f"datasets/{dataset}/v{number}/",
        digest=digest(content),
        rows={Split.TRAIN: 80, Split.VALIDATION: 20, Split.TEST: 10},
        created=datetime(2026, 11, 21, 11, 0, 52, 123456, tzinfo=UTC),
    )
    stamps = (SourceStamp(name="x.gz", sha256=digest("source"), stamp="/x.gz|1|2"),)
    return Materialisation(key=digest(key), version=version, sources=stamps)


def test_nothing_is_known_of_a_dataset_never_committed(catalogue, dataset):
    assert catalogue.latest(dataset) is None
    assert list(catalogue.versions(dataset)) == []
    with pytest.raises(NotFoundError, match=f"dataset {dataset} has no version v1"):
        catalogue.version(dataset, "v1")


def test_what_was_committed_comes_back_unchanged(catalogue, dataset):
    committed = materialisation(dataset, 1)
    catalogue.commit(committed)
    assert catalogue.latest(dataset) == committed
    assert list(catalogue.versions(dataset)) == [committed.version]
    assert catalogue.version(dataset, "v1") == committed.version


def test_the_latest_is_the_one_committed_last_whatever_its_key_or_name(catalogue, dataset):
    for number, key in ((2, "a"), (3, "b"), (1, "a")):
        catalogue.commit(materialisation(dataset, number, key=key))
    assert catalogue.latest(dataset).version.version == "v1"
    assert [version.version for version in catalogue.versions(dataset)] == ["v2", "v3", "v1"]


def test_datasets_do_not_see_each_other(catalogue, dataset):
    catalogue.commit(materialisation(dataset, 1))
    catalogue.commit(materialisation(f"{dataset}-b", 1))
    assert [version.dataset for version in catalogue.versions(dataset)] == [dataset]


def test_committing_again_changes_nothing(catalogue, dataset):
    first, second = materialisation(dataset, 1), materialisation(dataset, 2)
    for each in (first, second, first):
        catalogue.commit(each)
    assert catalogue.latest(dataset) == second
    assert len(catalogue.versions(dataset)) == 2


def test_a_version_never_gets_other_content(catalogue, dataset):
    catalogue.commit(materialisation(dataset, 1))
    with pytest.raises(CorruptError, match="already committed with other content"):
        catalogue.commit(materialisation(dataset, 1, content="other"))
    assert catalogue.version(dataset, "v1").digest == digest("content")


class TestPostgres:
    def test_the_database_refuses_to_change_a_version(self, postgres_url, dataset):
        PostgresCatalogue(postgres_url).commit(materialisation(dataset, 1))
        for table in ("dataset_version", "materialisation"):
            with pytest.raises(DBAPIError, match="never changes once committed"), open_engine(postgres_url).begin() as connection:
                connection.execute(text(f"UPDATE {table} SET dataset = 'other' WHERE dataset = :name"), {"name": dataset})

    def test_the_migrations_make_the_tables_the_queries_expect(self, postgres_url):
        with open_engine(postgres_url).connect() as connection:
            options = {"version_table": VERSION_TABLE, "compare_server_default": False}
            assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []

    def test_processes_that_upgrade_at_once_do_so_once(self, empty_database):
        spawn = multiprocessing.get_context("spawn")
        workers = [spawn.Process(target=upgrade, args=(empty_database,)) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        upgrade(empty_database)
        assert PostgresCatalogue(empty_database).latest("shoes") is None

    def test_a_database_without_the_tables(self, empty_database):
        with pytest.raises(UnavailableError, match="headrace up"):
            PostgresCatalogue(empty_database).latest("shoes")

    def test_a_database_that_does_not_answer_is_named_without_its_password(self):
        with pytest.raises(UnavailableError, match="does not answer") as raised:
            PostgresCatalogue("postgresql+psycopg2://user:hidden@127.0.0.1:9/headrace").latest("shoes")
        assert "127.0.0.1:9/headrace" in str(raised.value)
        assert "hidden" not in str(raised.value)

    @pytest.mark.parametrize("url", ["postgresql://127.0.0.1/headrace", "sqlite://", "nonsense"])
    def test_a_url_without_the_driver_is_refused(self, url):
        with pytest.raises(InvalidSpecError, match="database URL"):
            PostgresCatalogue(url)
