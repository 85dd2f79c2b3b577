"""What is killed comes back, and the run ends as it would have: one MLflow run a member, no second Job, no failed request."""

from __future__ import annotations

import json
import time

import pytest

from cluster.installation import RELEASE, Installation
from cluster.kubectl import Kubectl
from cluster.platform.runs import PIPELINE, Run
from cluster.trickle import trickle
from headrace.specs.step import run_name
from waiting import wait_for

pytestmark = pytest.mark.timeout(2400)  # the first test installs the platform and waits for a whole run

SMALL = {"members": ["cnn"], "ensemble_size": 1}
OUTAGE_SECONDS = 10


def test_a_killed_worker_pod_fails_the_job_and_the_retry_resumes_in_the_same_run(
    first_run: Run, installation: Installation, jobs: Kubectl
):
    with installation.airflow() as airflow:
        run = Run.start(airflow, **SMALL, epochs=8)
        _await_epoch(run, installation)
        jobs("delete", "pod", _worker(jobs, rank=1), "--grace-period=0", "--force")
        run.await_success()
        assert run.tasks()["train_cnn"].attempt == 2
        assert "worker 1" in run.log("train_cnn", 1)
        assert "resum" in run.log("train_cnn", 2).lower()
    assert _mlflow_runs(run, installation) == ["FINISHED"]


def test_a_killed_scheduler_does_not_start_a_second_job(first_run: Run, installation: Installation, jobs: Kubectl):
    with installation.airflow() as airflow:
        run = Run.start(airflow, **SMALL, epochs=8)
        _await_epoch(run, installation)
        before = _jobs(jobs)
        for pod in installation.pods("airflow-scheduler"):
            installation.user("delete", "pod", pod, "--grace-period=0", "--force")
        run.await_success()
        assert _jobs(jobs) <= before
    assert _mlflow_runs(run, installation) == ["FINISHED"]


def test_a_killed_triggerer_is_followed_by_one_that_goes_on_waiting(first_run: Run, installation: Installation, jobs: Kubectl):
    with installation.airflow() as airflow:
        run = Run.start(airflow, **SMALL, epochs=8)
        _await_epoch(run, installation)
        run.await_state("train_cnn", "deferred")
        before = _jobs(jobs)
        for pod in installation.pods("airflow-triggerer"):
            installation.user("delete", "pod", pod, "--grace-period=0", "--force")
        run.await_success()
        assert _jobs(jobs) <= before
        assert run.tasks()["train_cnn"].attempt == 1
    assert _mlflow_runs(run, installation) == ["FINISHED"]


def test_ingestion_rides_out_a_store_that_is_away(first_run: Run, installation: Installation, jobs: Kubectl, tmp_path):
    with installation.airflow() as airflow:
        run = Run.start(airflow, **SMALL, epochs=1, force_refresh=True)
        wait_for(lambda: _ingest_pod_uploads(jobs), within=240, what="the ingest pod writes")
        _set_replicas(installation, f"statefulset/{RELEASE}-minio", 0)
        time.sleep(OUTAGE_SECONDS)  # the fault itself: an outage of known length
        _set_replicas(installation, f"statefulset/{RELEASE}-minio", 1)
        run.await_success()
        assert run.tasks()["ingest"].attempt == 1
        version = run.result("dataset")
    with installation.store(tmp_path) as store:
        manifest = store.get_bytes(f"{version['location']}manifest.json")
        stored = {found.key for found in store.list(version["location"])}
    assert version["digest"].encode() in manifest
    assert len(stored) > 7


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


def _set_replicas(installation: Installation, workload: str, count: int) -> None:
    installation.user("patch", workload, "--patch", json.dumps({"spec": {"replicas": count}}))


def _endpoint(installation: Installation) -> str:
    host = f"{RELEASE}-serving.{installation.namespace}.svc:9000"
    return f"http://{host}/seldon/{installation.namespace}/fashion-mnist/api/v1.0/predictions"


def _jobs(jobs: Kubectl) -> set[str]:
    """Every Job by its unique id: one made anew under the same name is another."""
    return {job["metadata"]["uid"] for job in jobs.get("jobs")}


def _worker(jobs: Kubectl, *, rank: int) -> str:
    pods = jobs.get("pods", "-l", f"batch.kubernetes.io/job-completion-index={rank}", "--field-selector=status.phase=Running")
    return str(pods[0]["metadata"]["name"])


def _await_epoch(run: Run, installation: Installation) -> None:
    """Wait until the training has a checkpoint to go on from."""

    def has_progress() -> bool:
        return "epoch 1" in run.log("train_cnn").lower() if run.states()["train_cnn"] != "waiting" else False

    wait_for(has_progress, within=300, what=f"the first epoch is over: {run.states()}")


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
