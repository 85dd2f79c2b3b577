"""What is killed comes back, and the run ends as it would have: one MLflow run a member, no second Job, no failed request."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cluster.installation import RELEASE, Installation
from cluster.kubectl import Kubectl
from cluster.platform.runs import PIPELINE, SMALL, Run
from cluster.trickle import trickle
from headrace.specs.step import run_name
from waiting import wait_for

pytestmark = pytest.mark.timeout(2400)  # the first test installs the platform and waits for a whole run

OUTAGE_SECONDS = 10


def test_a_killed_worker_pod_fails_the_job_and_the_retry_resumes_in_the_same_run(bereaved_run: Run, installation: Installation):
    assert bereaved_run.tasks()["train_cnn"].attempt == 2
    assert "worker 1" in bereaved_run.log("train_cnn", 1)
    assert "resum" in bereaved_run.log("train_cnn", 2).lower()
    assert _mlflow_runs(bereaved_run, installation) == ["FINISHED"]


@dataclass(frozen=True)
class Tormented:
    """A run that has ended well, and the Jobs that there were before the faults during its training."""

    run: Run
    before: set[str]


@pytest.fixture(scope="module")
def tormented(bereaved_run: Run, installation: Installation, jobs: Kubectl) -> Iterator[Tormented]:
    """A run that loses the store while it ingests, and the triggerer and then the scheduler while it trains."""
    with installation.airflow() as airflow:
        run = Run.start(airflow, **SMALL, epochs=12, force_refresh=True)
        wait_for(lambda: _ingest_pod_uploads(jobs), within=240, what="the ingest pod writes")
        _set_replicas(installation, f"statefulset/{RELEASE}-minio", 0)
        time.sleep(OUTAGE_SECONDS)  # the fault itself: an outage of known length
        _set_replicas(installation, f"statefulset/{RELEASE}-minio", 1)
        run.await_epoch()
        run.await_state("train_cnn", "deferred")
        before = _jobs(jobs)
        _kill(installation, "airflow-triggerer")
        installation.user("rollout", "status", f"deployment/{RELEASE}-airflow-triggerer", "--timeout=180s", timeout=200)
        assert run.states()["train_cnn"] == "deferred", "it trained for too short a time to lose the scheduler, too"
        _kill(installation, "airflow-scheduler")
        run.await_success()
        yield Tormented(run, before)


def test_ingestion_rides_out_a_store_that_is_away(tormented: Tormented, installation: Installation, tmp_path):
    assert tormented.run.tasks()["ingest"].attempt == 1
    version = tormented.run.result("dataset")
    with installation.store(tmp_path) as store:
        manifest = store.get_bytes(f"{version['location']}manifest.json")
        stored = {found.key for found in store.list(version["location"])}
    assert version["digest"].encode() in manifest
    assert len(stored) > 7


def test_killed_triggerer_and_scheduler_are_followed_by_ones_that_go_on_waiting_for_the_same_job(
    tormented: Tormented, installation: Installation, jobs: Kubectl
):
    assert _jobs(jobs) <= tormented.before
    assert tormented.run.tasks()["train_cnn"].attempt == 1
    assert _mlflow_runs(tormented.run, installation) == ["FINISHED"]


def test_a_killed_replica_costs_no_request(first_run: Run, installation: Installation, clients: Kubectl, serving_image: str):
    with trickle(clients, _endpoint(installation), image=serving_image) as answers:
        pod = installation.pods("serving")[0]
        installation.user("exec", pod, "--", "python", "-c", _KILL_A_REPLICA)
        installation.user("delete", "pod", installation.pods("serving")[1])
        installation.user("rollout", "status", f"deployment/{RELEASE}-serving", "--timeout=180s", timeout=200)
    assert answers.failures == {}
    assert answers.counts["200"] > 50


_KILL_A_REPLICA = """
import os, pathlib, signal
nodes = [int(p.parent.name) for p in pathlib.Path("/proc").glob("[0-9]*/cmdline") if b"headrace.serving.node" in p.read_bytes()]
os.kill(nodes[0], signal.SIGKILL)
"""


def _kill(installation: Installation, component: str) -> None:
    for pod in installation.pods(component):
        installation.user("delete", "pod", pod, "--grace-period=0", "--force")


def _set_replicas(installation: Installation, workload: str, count: int) -> None:
    installation.user("patch", workload, "--patch", json.dumps({"spec": {"replicas": count}}))


def _endpoint(installation: Installation) -> str:
    host = f"{RELEASE}-serving.{installation.namespace}.svc:9000"
    return f"http://{host}/seldon/{installation.namespace}/fashion-mnist/api/v1.0/predictions"


def _jobs(jobs: Kubectl) -> set[str]:
    """Every Job by its unique id: one made anew under the same name is another."""
    return {job["metadata"]["uid"] for job in jobs.get("jobs")}


def _ingest_pod_uploads(jobs: Kubectl) -> bool:
    pods = jobs.get("pods", "-l", "app.kubernetes.io/name=headrace-step", "--field-selector=status.phase=Running")
    return bool(pods) and "rows written" in jobs("logs", pods[0]["metadata"]["name"])


def _mlflow_runs(run: Run, installation: Installation) -> list[str]:
    """The states of the run's MLflow runs."""
    import mlflow

    with installation.mlflow() as url:
        client = mlflow.MlflowClient(url)
        experiment = client.get_experiment_by_name(PIPELINE)
        found = client.search_runs([experiment.experiment_id], f"tags.`headrace.run` = '{run_name(run.run_id)}'")
    return [each.info.status for each in found]
