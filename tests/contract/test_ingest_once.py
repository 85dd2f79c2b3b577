"""Ingesting on a real PostgreSQL, from real processes: once, however many ask and however one of them dies."""

import json
import os
import signal
import subprocess
import sys
import uuid

import pytest

from headrace.adapters.directory_store import DirectoryStore
from headrace.adapters.postgres.catalogue import PostgresCatalogue
from headrace.adapters.postgres.locks import PostgresLocks
from idx_files import dataset_spec
from ingest_world import IngestWorld
from waiting import wait_for

TASK = """
import datetime, sys
from headrace.adapters.local_steps import LocalStepRunner
from headrace.bootstrap import Platform, utc_now
from headrace.specs.step import IngestStep

document, mode = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
newer_than = utc_now() if mode == "force" else None
step = IngestStep.model_validate_json(document)
result = Platform().materialise(step, steps=LocalStepRunner(), log=lambda line: print(line, flush=True), newer_than=newer_than)
print(result.model_dump_json())
"""
"""As the orchestrator's task does it: the step is a process of its own."""


@pytest.fixture
def world(tmp_path, postgres_url):
    world = IngestWorld(
        tmp_path,
        store=DirectoryStore(tmp_path / "store"),
        catalogue=PostgresCatalogue(postgres_url),
        locks=PostgresLocks(postgres_url),
    )
    name = f"shoes-{uuid.uuid4().hex[:8]}"
    world.spec = lambda **changes: dataset_spec(world.content, name=name, **changes)
    return world


@pytest.fixture
def start(world, postgres_url):
    """Start a process that will ingest when told to."""
    started = []
    environment = {
        "HEADRACE_HOME": str(world.folder),
        "HEADRACE_DATABASE_URL": postgres_url,
        "TMPDIR": str(world.folder),  # what a killed one leaves goes with the test
    }

    def start_one(mode="plain"):
        process = subprocess.Popen(
            [sys.executable, "-c", TASK, world.step().model_dump_json(), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def go(*processes):
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


@pytest.mark.parametrize("mode", ["plain", "force"])
def test_processes_that_ingest_at_once_do_so_once(world, start, mode):
    processes = [start("plain"), start("plain"), start(mode)]
    with world.locks.hold(f"ingest/{world.spec().name}"):  # so that all of them have asked before one begins
        go(*processes)
        wait_for_waiters(world, 3)
    results = [json.loads(process.communicate(timeout=60)[0].splitlines()[-1]) for process in processes]
    versions = world.catalogue.versions(world.spec().name)
    assert len(versions) == 1
    assert {result["version"]["version"] for result in results} == {versions[0].version}
    assert sorted(result["cached"] for result in results) == [False, True, True]


def wait_for_waiters(world, count):
    """Until so many sessions wait for an advisory lock; the test's own time limit ends it otherwise."""
    from sqlalchemy import text

    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    found = 0
    while found < count:
        with world.catalogue._engine.connect() as connection:
            found = connection.execute(waiting).scalar()


def test_a_killed_task_takes_its_step_with_it_leaves_nothing_visible_and_does_not_block_the_next(world, start):
    plain = world.spec
    world.spec = lambda: plain(rows_per_shard=1)  # 150 files: time enough to be killed in
    process = start()
    go(process)
    wait_for(lambda: len(world.stored()) >= 3, 30, "the step writes")
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    assert world.catalogue.latest(world.spec().name) is None
    assert not [key for key in world.stored() if key.endswith("manifest.json")], "it was killed half-way"
    version = world.ingest().version
    assert world.check(full=True).fresh
    assert all(key.startswith(version.location) for key in world.stored())
