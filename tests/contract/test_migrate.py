"""`headrace migrate` and `headrace prepare-store` as commands, against the real services."""

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from minio import Minio

from headrace.adapters.postgres.migrations import VERSION_TABLE
from headrace.errors import InvalidSpecError, UnavailableError

HEADRACE = Path(sys.executable).parent / "headrace"
PLAN = {"buckets": ["cli-bucket"], "users": {"jobs": [{"bucket": "cli-bucket", "access": "write"}]}}


@pytest.fixture
def headrace(tmp_path):
    """Runs the command with these variables and no other settings."""

    def run(*arguments, **variables):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        environment |= {"HEADRACE_HOME": str(tmp_path / "home"), **variables}
        return subprocess.run([HEADRACE, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False)

    return run


class TestMigrate:
    def execute(self, url, statement):
        with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection, connection.cursor() as sql:
            connection.autocommit = True
            sql.execute(statement)
            return sql.fetchall() if sql.description else None

    def test_an_empty_database_gets_the_tables_and_a_second_run_leaves_them(self, postgres_url, headrace):
        self.execute(postgres_url, "CREATE DATABASE migrated")
        url = f"{postgres_url.rpartition('/')[0]}/migrated"
        for _ in range(2):
            done = headrace("migrate", HEADRACE_DATABASE_URL=url)
            assert (done.returncode, done.stdout) == (0, "the tables are up to date\n")
        assert len(self.execute(url, f"SELECT * FROM {VERSION_TABLE}")) == 1

    def test_a_database_that_stays_away_is_waited_for_and_then_named(self, headrace):
        began = time.monotonic()
        done = headrace("migrate", "--within", "2", HEADRACE_DATABASE_URL="postgresql+psycopg2://x:y@127.0.0.1:9/z")
        assert time.monotonic() - began > 2
        assert done.returncode == UnavailableError.exit_code
        assert "127.0.0.1:9" in done.stderr


class TestPrepareStore:
    @pytest.fixture
    def plan(self, tmp_path):
        path = tmp_path / "plan.json"
        path.write_text(json.dumps(PLAN))
        return path

    @pytest.fixture
    def credentials(self, tmp_path):
        folder = tmp_path / "credentials" / "jobs"
        folder.mkdir(parents=True)
        (folder / "access-key").write_text("cli-jobs")
        (folder / "secret-key").write_text("secret-of-jobs\n")
        return folder.parent

    def test_the_accounts_of_the_files_can_use_the_store(self, minio, headrace, plan, credentials):
        keys = {"HEADRACE_MINIO__ACCESS_KEY": minio.access_key, "HEADRACE_MINIO__SECRET_KEY": minio.secret_key}
        done = headrace(
            "prepare-store", str(plan), "--credentials", str(credentials), HEADRACE_MINIO__ENDPOINT=minio.endpoint, **keys
        )
        assert (done.returncode, done.stdout) == (0, "buckets cli-bucket; accounts jobs\n")
        jobs = Minio(minio.endpoint, "cli-jobs", "secret-of-jobs", secure=False, region="us-east-1")
        assert list(jobs.list_objects("cli-bucket")) == []

    def test_a_missing_key_is_named(self, headrace, plan, credentials):
        (credentials / "jobs" / "secret-key").unlink()
        done = headrace("prepare-store", str(plan), "--credentials", str(credentials))
        assert done.returncode == InvalidSpecError.exit_code
        assert str(credentials / "jobs") in done.stderr

    def test_a_malformed_plan_is_refused(self, headrace, plan, credentials):
        plan.write_text('{"buckets": [], "users": {"jobs": [{"bucket": "cli-bucket", "access": "own"}]}}')
        done = headrace("prepare-store", str(plan), "--credentials", str(credentials))
        assert done.returncode == InvalidSpecError.exit_code
        assert "'read' or 'write'" in done.stderr
