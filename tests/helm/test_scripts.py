"""The scripts the chart mounts into pods, against a real PostgreSQL."""

import socket
import subprocess
import sys
import time
from contextlib import closing
from importlib.metadata import version

import psycopg2
import pytest

from helm.chart import CHART

SCRIPTS = CHART / "files"
VARIABLE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


@pytest.fixture
def database(postgres_url):
    """The URL of a new database."""
    name = f"scripts_{time.monotonic_ns()}"
    _execute(postgres_url, f"CREATE DATABASE {name}")
    yield postgres_url.rpartition("/")[0] + f"/{name}"
    _execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(url, *statements):
    with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection, connection.cursor() as sql:
        connection.autocommit = True
        for statement in statements:
            sql.execute(statement)


def _command(script, *arguments):
    return [sys.executable, "-I", str(SCRIPTS / script), *arguments]


def _run(script, *arguments, url):
    command = _command(script, *arguments)
    return subprocess.run(command, env={VARIABLE: url}, capture_output=True, text=True, check=False, timeout=60)


class TestSchema:
    def migrate(self, url, log, code=0):
        migration = f"open({str(log)!r}, 'a').write('migrated\\n'); raise SystemExit({code})"
        return _run("schema.py", "migrate", "pytest", VARIABLE, sys.executable, "-c", migration, url=url)

    def test_a_migration_runs_once_for_each_version(self, database, tmp_path):
        log = tmp_path / "log"
        assert self.migrate(database, log).returncode == 0
        again = self.migrate(database, log)
        assert (again.returncode, again.stdout) == (0, f"the schema is that of pytest {version('pytest')} already\n")
        assert log.read_text() == "migrated\n"
        _execute(database, f"COMMENT ON DATABASE {database.rpartition('/')[2]} IS 'pytest 1.0'")
        assert self.migrate(database, log).returncode == 0
        assert log.read_text() == "migrated\nmigrated\n"

    def test_a_migration_that_failed_runs_again(self, database, tmp_path):
        log = tmp_path / "log"
        assert self.migrate(database, log, code=3).returncode == 3
        assert self.migrate(database, log).returncode == 0
        assert log.read_text() == "migrated\nmigrated\n"

    def test_who_waits_goes_on_when_the_schema_is_there(self, database, tmp_path):
        waiting = subprocess.Popen(
            _command("schema.py", "wait", "pytest", VARIABLE), env={VARIABLE: database}, stdout=subprocess.PIPE, text=True
        )
        with waiting:
            assert waiting.stdout.readline() == f"waiting for the schema of pytest {version('pytest')}; it is that of nothing\n"
            assert self.migrate(database, tmp_path / "log").returncode == 0
            assert waiting.wait(10) == 0

    def test_two_migrations_of_one_database_do_not_overlap(self, database, tmp_path):
        log = tmp_path / "log"
        slow = f"import time; f = open({str(log)!r}, 'a'); f.write('begin\\n'); f.flush(); time.sleep(1); f.write('end\\n')"
        command = _command("schema.py", "migrate", "pytest", VARIABLE, sys.executable, "-c", slow)
        both = [subprocess.Popen(command, env={VARIABLE: database}) for _ in range(2)]
        assert [process.wait(30) for process in both] == [0, 0]
        assert log.read_text() == "begin\nend\n"


class TestHeartbeat:
    @pytest.fixture
    def beating(self, database):
        """Writes a heartbeat of so many seconds ago, as Airflow does."""
        columns = "id serial, job_type text, hostname text, state text, latest_heartbeat timestamptz"
        _execute(database, f"CREATE TABLE job ({columns})")
        here = socket.gethostbyname(socket.gethostname())

        def beat(seconds, job_type="SchedulerJob", hostname=here, state="running"):
            _execute(
                database,
                "INSERT INTO job (job_type, hostname, state, latest_heartbeat) "
                f"VALUES ('{job_type}', '{hostname}', '{state}', now() - interval '{seconds} seconds')",
            )

        return beat

    def ask(self, database, *options):
        return _run("heartbeat.py", "SchedulerJob", "60", *options, url=database)

    def test_a_young_heartbeat_is_life(self, database, beating):
        beating(600)
        beating(5)
        assert self.ask(database).returncode == 0

    def test_an_old_heartbeat_is_none(self, database, beating):
        beating(90)
        done = self.ask(database, "--lenient")
        assert done.returncode == 1
        assert "the last heartbeat is 9" in done.stderr

    @pytest.mark.parametrize("other", [{"job_type": "TriggererJob"}, {"hostname": "10.1.2.3"}, {"state": "failed"}])
    def test_the_heartbeat_of_another_does_not_count(self, database, beating, other):
        beating(5, **other)
        assert "no running SchedulerJob here" in self.ask(database).stderr

    def test_a_database_that_is_away_makes_nobody_ready_and_kills_nobody(self):
        away = "postgresql+psycopg2://airflow:x@127.0.0.1:9/airflow"
        strict = self.ask(away)
        assert strict.returncode == 1
        assert "the database does not answer" in strict.stderr
        assert self.ask(away, "--lenient").returncode == 0
