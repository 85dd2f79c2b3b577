"""The task that ingests, on the embedded backend with a real database: what its retries and its run's parameters mean."""

import uuid
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk.bases.operator import ExecutorSafeguard

from headrace.bootstrap import Platform
from headrace.specs.pipeline import RunRequest
from headrace_airflow.steps import MaterialiseOperator
from ingest_world import IngestWorld


@pytest.fixture
def pipeline(tmp_path, postgres_url, monkeypatch):
    """The pipeline of a small dataset, on an installation of the test's own."""
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_DATABASE_URL", postgres_url)
    world = IngestWorld(tmp_path)
    return world.step(world.spec(name=f"shoes-{uuid.uuid4().hex[:8]}")).pipeline


def execute(pipeline, *, asked, force=False, run="manual__1"):
    """One try of the task, in a run that started at `asked`."""
    params = RunRequest.defaults(pipeline).model_copy(update={"force_refresh": force}).model_dump(mode="json")
    context = {
        "run_id": run,
        "params": params,
        "dag_run": SimpleNamespace(start_date=asked),
        "ti": SimpleNamespace(dag_id=pipeline.name, task_id="ingest", map_index=-1, try_number=1),
    }
    operator = MaterialiseOperator(task_id="ingest", spec=pipeline)
    token = ExecutorSafeguard.tracker.set(operator)  # as Airflow's task runner does around execute
    try:
        return operator.execute(context)
    finally:
        ExecutorSafeguard.tracker.reset(token)


def now():
    return datetime.now(UTC)


def test_a_first_run_ingests_and_the_next_uses_it(pipeline):
    first = execute(pipeline, asked=now())
    assert (first["cached"], first["reason"]) == (False, "stale: never ingested")
    second = execute(pipeline, asked=now(), run="manual__2")
    assert second["cached"]
    assert second["version"] == first["version"]


def test_a_forced_run_ingests_once_however_often_it_is_tried(pipeline):
    execute(pipeline, asked=now())
    asked = now()
    first = execute(pipeline, asked=asked, force=True, run="manual__2")
    assert (first["cached"], first["reason"]) == (False, "stale: refresh was forced")
    retry = execute(pipeline, asked=asked, force=True, run="manual__2")
    assert retry["version"] == first["version"]
    cleared = execute(pipeline, asked=now(), force=True, run="manual__2")
    assert not cleared["cached"], "a run that is cleared starts anew"
    assert len(Platform().catalogue.versions(pipeline.dataset.name)) == 3
