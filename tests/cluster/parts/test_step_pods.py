"""Steps in real pods, with a real store: waited for when their task dies, deleted when it is stopped, honest when they fail."""

import json
import os
import signal
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from cluster.parts.step_world import (
    ACCESS_KEY,
    SECRET_KEY,
    download_server,
    ingest_step,
    keep_store_keys,
    minio_server,
    node_address,
)
from cluster.tenancy import own_namespace
from headrace.bootstrap import Platform
from headrace.config import load_settings
from headrace.errors import StepFailedError
from headrace.render.step import pod_name
from headrace_airflow.pods.step import PodStepRunner
from waiting import wait_for

WITHIN_SECONDS = 240

pytestmark = pytest.mark.timeout(600)

TASK = """
import signal, sys
from types import SimpleNamespace
from airflow.sdk.exceptions import AirflowTaskTerminated
from headrace.bootstrap import Platform
from headrace.specs.step import IngestStep
from headrace_airflow.pods.step import PodStepRunner

def stop(*_):
    raise AirflowTaskTerminated("stopped")  # as the operator's on_kill does, which Airflow calls in its own handler

signal.signal(signal.SIGTERM, stop)
step = IngestStep.model_validate_json(sys.argv[1])
context = {"ti": SimpleNamespace(dag_id="shoes", task_id="ingest", map_index=-1, try_number=1), "run_id": step.run, "dag": None}
platform = Platform()
steps = PodStepRunner(platform.settings, context)
print("ready", flush=True)
sys.stdin.readline()
result = platform.materialise(step, steps=steps, log=lambda line: print(line, flush=True))
print(result.model_dump_json(), flush=True)
"""
"""The orchestrator's task, without the orchestrator."""


@pytest.fixture(scope="module")
def kubectl(admin):
    with own_namespace(admin, "steps") as kubectl:
        keep_store_keys(kubectl)
        yield kubectl


@pytest.fixture(scope="module")
def minio(kubectl, minio_program, tmp_path_factory):
    with minio_server(minio_program, tmp_path_factory.mktemp("minio"), node_address(kubectl)) as server:
        yield server


@pytest.fixture
def download(kubectl, tmp_path):
    with download_server(tmp_path / "raw", node_address(kubectl)) as server:
        server.folder.mkdir()
        yield server


@pytest.fixture
def name():
    return f"shoes-{uuid.uuid4().hex[:6]}"


@pytest.fixture
def environment(kubectl, minio, postgres_url, tmp_path):
    """The installation, as settings in the environment."""
    return {
        "KUBECONFIG": str(kubectl.kubeconfig),
        "HEADRACE_HOME": str(tmp_path / "home"),
        "HEADRACE_BACKEND": "kubernetes",
        "HEADRACE_DATABASE_URL": postgres_url,
        "HEADRACE_STORE": "minio",
        "HEADRACE_MINIO__ENDPOINT": minio.endpoint,
        "HEADRACE_MINIO__ACCESS_KEY": ACCESS_KEY,
        "HEADRACE_MINIO__SECRET_KEY": SECRET_KEY,
        "HEADRACE_KUBERNETES__NAMESPACE": kubectl.namespace,
        "HEADRACE_KUBERNETES__SECRETS": '["store"]',
    }


class World:
    """One task of an installation, run by a thread of the test or by a process of its own."""

    def __init__(self, kubectl, settings, environment):
        self.kubectl, self.settings, self.environment = kubectl, settings, environment
        self.platform = Platform(settings)
        self.log, self.processes = [], []
        self.threads = ThreadPoolExecutor()

    def steps(self, run="manual__1", **kubernetes):
        ti = SimpleNamespace(dag_id="shoes", task_id="ingest", map_index=-1, try_number=1)
        changed = self.settings.kubernetes.model_copy(update=kubernetes)
        settings = self.settings.model_copy(update={"kubernetes": changed})
        return PodStepRunner(settings, {"ti": ti, "run_id": run, "dag": None})

    def materialise(self, step, **kubernetes):
        return self.platform.materialise(step, steps=self.steps(step.run, **kubernetes), log=self.log.append)

    def task(self, step):
        """The same as a process that has imported everything, and waits to be told (see `go`)."""
        process = subprocess.Popen(
            [sys.executable, "-c", TASK, step.model_dump_json()],
            env=os.environ | self.environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        says(process, "ready")
        return process

    def in_background(self, step):
        """The same in a thread; the value is what it returned or raised."""
        return self.threads.submit(self.materialise, step)

    def await_running(self, step):
        wait_for(lambda: self.phase(step) == "Running", WITHIN_SECONDS, "the pod runs")

    def pods(self, step):
        """The pods that have the step's name: one or none."""
        found = self.kubectl.get("pods")
        return [pod for pod in found if pod["metadata"]["name"] == pod_name(step)]

    def phase(self, step):
        return next((pod["status"]["phase"] for pod in self.pods(step)), None)

    def uid(self, step):
        return next((pod["metadata"]["uid"] for pod in self.pods(step)), None)

    def stored(self, step):
        return [found.key for found in self.platform.store.list(f"datasets/{step.pipeline.dataset.name}/")]

    def versions(self, step):
        return self.platform.catalogue.versions(step.pipeline.dataset.name)

    def is_fresh(self, step):
        return self.platform.check_freshness(step.pipeline, full=True).fresh


@pytest.fixture
def world(kubectl, environment, monkeypatch):
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    world = World(kubectl, load_settings(), environment)
    yield world
    for process in world.processes:
        process.kill()
        process.communicate()
    world.threads.shutdown()


def go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def says(process, text):
    """Return when the process has printed a line with the text."""
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"it ended without saying: {text}")


def test_a_dataset_is_ingested_by_a_pod_into_the_store(world, download, name):
    step = ingest_step(download.offer(name=name))
    result = world.materialise(step)
    assert not result.cached
    assert sum(result.version.rows.values()) == 150
    assert world.is_fresh(step)
    assert world.versions(step) == [result.version]
    assert world.log.count("150 of 150 rows written") == 1, "each of the pod's lines is in the task's log"
    wait_for(lambda: not world.pods(step), 30, "the pod is deleted")
    assert world.materialise(step).cached
    assert not world.pods(step)


def test_the_retry_of_a_killed_task_goes_on_with_the_running_pod(world, download, name):
    step = ingest_step(download.offer(name=name))
    task, retry = world.task(step), world.task(step)
    with download.held():
        go(task)
        world.await_running(step)
        task.kill()
        task.wait(10)
        first = world.uid(step)
        go(retry)
        says(retry, "still runs")
        assert world.uid(step) == first
    output, _ = retry.communicate(timeout=WITHIN_SECONDS)
    result = json.loads(output.splitlines()[-1])
    assert [version.version for version in world.versions(step)] == [result["version"]["version"]]
    assert world.is_fresh(step)
    assert not world.pods(step)


def test_another_run_leaves_alone_what_an_orphaned_pod_is_writing(world, download, minio, name):
    step = ingest_step(download.offer(name=name, train_rows=1000, rows_per_shard=1))
    task, other = world.task(step), world.task(step.model_copy(update={"run": "manual__2"}))
    go(task)
    wait_for(lambda: len(world.stored(step)) >= 3, WITHIN_SECONDS, "the pod writes")
    with minio.stopped():
        task.kill()
        task.wait(10)
        go(other)
        says(other, "started for run shoes/manual__1, still runs")
    half = set(world.stored(step))
    assert not any(key.endswith("manifest.json") for key in half)
    output, _ = other.communicate(timeout=WITHIN_SECONDS)
    result = json.loads(output.splitlines()[-1])
    assert result["cached"], "it used what the orphan made"
    assert half < set(world.stored(step))
    assert len(world.versions(step)) == 1
    assert world.is_fresh(step)


def test_a_stopped_task_takes_its_pod_with_it(world, download, name):
    step = ingest_step(download.offer(name=name))
    task = world.task(step)
    with download.held():
        go(task)
        world.await_running(step)
        task.send_signal(signal.SIGTERM)
        output, _ = task.communicate(timeout=WITHIN_SECONDS)
        assert "AirflowTaskTerminated" in output
        wait_for(lambda: not world.pods(step), 60, "the pod is gone")
    assert world.versions(step) == []


def test_a_step_that_needs_too_much_memory_says_so(world, download, name):
    step = ingest_step(download.offer(name=name, resources={"cpu": "20m", "memory": "32Mi"}))
    with pytest.raises(StepFailedError, match=r"(?s)ran out of memory \(OOMKilled, its limit is 32Mi\).*resources\.memory"):
        world.materialise(step)
    assert world.versions(step) == []


def test_a_pod_that_no_node_can_take_fails_with_the_schedulers_words(world, download, name):
    step = ingest_step(download.offer(name=name, resources={"cpu": "1000"}))
    with pytest.raises(StepFailedError, match=r"did not start within 5 s: .*Insufficient cpu"):
        world.materialise(step, schedule_within_seconds=5)
    assert any("waits: 0/1 nodes are available" in line for line in world.log)
    wait_for(lambda: not world.pods(step), 30, "the pod is deleted")


def test_an_image_that_is_nowhere_fails_with_the_kubelets_words(world, download, name):
    step = ingest_step(download.offer(name=name))
    with pytest.raises(StepFailedError, match=r"did not start within 20 s: ErrImageNeverPull"):
        world.materialise(step, step_image="headrace/no-such:1", pull_policy=type(world.settings.kubernetes.pull_policy).NEVER)


def test_a_failing_step_fails_with_its_last_lines(world, download, name):
    step = ingest_step(download.offer(name=name))
    (download.folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(StepFailedError, match=r"(?s)ended with exit code 1; its last lines:.*SourceError: .*t10k-labels"):
        world.materialise(step)
    assert world.stored(step) == []


def test_a_full_quota_is_waited_for_and_then_named(world, kubectl, download, name):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}
    kubectl.apply(quota)
    try:
        wait_for(lambda: "hard" in kubectl.get("resourcequota", "full").get("status", {}), 30, "the quota counts")
        step = ingest_step(download.offer(name=name))
        with pytest.raises(StepFailedError, match=r"did not start within 5 s: .*exceeded quota: full"):
            world.materialise(step, schedule_within_seconds=5)
    finally:
        kubectl("delete", "resourcequota", "full")


def test_a_pod_that_somebody_deletes_fails_its_task(world, kubectl, download, name):
    step = ingest_step(download.offer(name=name))
    with download.held():
        task = world.in_background(step)
        world.await_running(step)
        kubectl("delete", "pod", pod_name(step), "--wait=false")
        with pytest.raises(StepFailedError, match="was deleted"):
            task.result(WITHIN_SECONDS)
    assert world.versions(step) == []


def test_a_step_pod_knows_neither_the_database_nor_the_api_server(world, kubectl, download, name, postgres_url):
    step = ingest_step(download.offer(name=name))
    with download.held():
        task = world.in_background(step)
        world.await_running(step)
        inside = kubectl("exec", pod_name(step), "--", "env")
        assert postgres_url not in inside
        assert "DATABASE" not in inside
        assert not kubectl("exec", pod_name(step), "--", "sh", "-c", "ls /var/run/secrets/kubernetes.io 2>/dev/null || true")
    assert not task.result(WITHIN_SECONDS).cached
