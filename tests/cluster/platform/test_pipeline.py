"""The sample pipeline on pods, from Airflow's REST API to an answering endpoint."""

from __future__ import annotations

import json

import httpx
import numpy as np
import pytest

from cluster.installation import Installation
from cluster.kubectl import Kubectl
from cluster.platform.runs import PIPELINE, Run
from headrace.specs.step import run_name

pytestmark = pytest.mark.timeout(2400)  # the first test installs the platform and waits for a whole run

MEMBERS = ("cnn", "cnn_batch_norm", "cnn_dropout")


def test_every_task_succeeded(first_run: Run):
    states = first_run.states()
    # A candidate that finds the ensemble full, or former versions serving, waits for the choice.
    assert {state for task, state in states.items() if not task.startswith("join_")} == {"success"}
    assert {state for task, state in states.items() if task.startswith("join_")} <= {"success", "skipped"}


def test_data_were_ingested_by_a_pod_into_the_store(first_run: Run, installation: Installation, tmp_path):
    version = first_run.result("dataset")
    with installation.store(tmp_path) as store:
        keys = [found.key for found in store.list(version["location"])]
    assert f"{version['location']}manifest.json" in keys
    assert len(keys) > 7
    assert "rows written" in first_run.log("ingest")


@pytest.mark.parametrize("member", MEMBERS)
def test_each_member_was_trained_by_two_pods_whose_lines_are_in_its_log(first_run: Run, member):
    log = first_run.log(f"train_{member}")
    assert "[worker 0]" in log
    assert "[worker 1]" in log


def test_a_job_that_waited_for_the_quota_said_so(first_run: Run):
    assert any("quota" in first_run.log(f"train_{member}") for member in MEMBERS)


def test_each_member_is_one_finished_run_and_one_registered_version(first_run: Run, installation: Installation):
    with installation.mlflow() as url:
        import mlflow

        client = mlflow.MlflowClient(url)
        experiment = client.get_experiment_by_name(PIPELINE)
        runs = client.search_runs([experiment.experiment_id], f"tags.`headrace.run` = '{run_name(first_run.run_id)}'")
        assert {run.data.tags["headrace.member"]: run.info.status for run in runs} == dict.fromkeys(MEMBERS, "FINISHED")
        assert len(runs) == len(MEMBERS)
        versions = client.search_model_versions("name = 'fashion-mnist'")
        assert {version.run_id for version in versions} >= {run.info.run_id for run in runs}


def test_the_best_two_serve_with_two_replicas_each_and_answer_as_one(first_run: Run, installation: Installation):
    promotion = first_run.result("promote")
    assert len(promotion["members"]) == 2
    with installation.user.forwarded("service/headrace-serving", 9000) as address:
        base = f"http://{address}"
        path = f"/seldon/{installation.namespace}/fashion-mnist/api/v1.0/predictions"
        images = np.zeros((3, 28, 28), dtype=np.uint8).tolist()
        answer = httpx.post(base + path, json={"data": {"ndarray": images}}, timeout=30).json()
    probabilities = np.array(answer["data"]["ndarray"])
    assert probabilities.shape == (3, 10)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-3)
    assert len(installation.pods("serving")) == 2


def test_no_job_is_left_running(first_run: Run, jobs: Kubectl):
    running = [job["metadata"]["name"] for job in jobs.get("jobs") if job["status"].get("active")]
    assert running == []


def test_a_second_run_uses_the_cached_dataset(bereaved_run: Run):
    assert bereaved_run.states()["ingest"] == "skipped"
    assert "cached" in json.dumps(bereaved_run.result("is_stale", "reason"))
