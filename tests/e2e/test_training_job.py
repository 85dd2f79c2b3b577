"""Training jobs as they are: real worker processes, a real store, a real MLflow (over SQLite), a small data set."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from headrace.adapters import local_processes
from headrace.errors import TrainingFailedError
from headrace.specs.dataset import Split
from training_world import TrainingWorld, tracking_url

EPOCHS = 4
ENDED_WITHIN_SECONDS = 30


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    home = tmp_path_factory.mktemp("training")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking_url(home))
        yield TrainingWorld(home, rows={Split.TRAIN: 2000, Split.VALIDATION: 300, Split.TEST: 400})


@pytest.fixture(scope="module")
def trained(world):
    """A job of two workers that nothing disturbed, and its candidate."""
    job = world.job("undisturbed", epochs=EPOCHS)
    return job, world.train(job)


def _workers(home):
    """The worker processes of an installation, by rank."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            variables = process.environ()
            if variables.get("HEADRACE_HOME") == str(home) and "headrace.training" in process.cmdline():
                found[json.loads(variables["TF_CONFIG"])["task"]["index"]] = process
    return found


def _wait_until(condition, *, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.05)


def test_a_run_holds_all_that_a_person_looks_for(world, trained):
    job, candidate = trained
    run = world.run_of(job)
    assert (run.info.status, run.info.run_id) == ("FINISHED", candidate.run_id)
    assert run.data.params["architecture"] == "cnn"
    assert run.data.params["workers"] == "2"
    assert {"headrace.version", "headrace.dataset_digest", "mlflow.note.content"} <= set(run.data.tags)
    for metric in ("loss", "accuracy", "validation_loss", "validation_accuracy", "images_per_second"):
        assert [step for step, _ in world.history(job, metric)] == [1, 2, 3, 4]
    assert {"test_accuracy", "test_loss", "onnx_parity"} <= set(run.data.metrics)
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.digest == world.version.digest[:36]
    assert [tag.value for tag in dataset.tags] == ["training"]
    assert {file.path for file in world.client.list_artifacts(run.info.run_id, "figures")} == {
        "figures/learning_curve.png",
        "figures/confusion_matrix.png",
    }


def test_the_candidate_brings_network_golden_answers_and_description(world, trained, tmp_path):
    import onnxruntime

    _, candidate = trained
    folder = world.registry.download(world.registry.version("tiny", candidate.version), tmp_path)
    network = onnxruntime.InferenceSession(folder / "model.onnx")
    assert [(put.name, put.type) for put in (*network.get_inputs(), *network.get_outputs())] == [
        ("image", "tensor(uint8)"),
        ("probabilities", "tensor(float)"),
    ]
    with np.load(folder / "golden.npz") as golden:
        np.testing.assert_allclose(network.run(None, {"image": golden["inputs"]})[0], golden["outputs"], atol=1e-6)
        assert golden["inputs"].shape == (10, 28, 28)
        assert golden["reference"].dtype == np.float32
        np.testing.assert_allclose(golden["reference"], golden["outputs"], atol=1e-4)
    assert '"member": "cnn"' in (folder / "model.json").read_text()
    assert candidate.metrics["validation_accuracy"] > 0.9


def test_one_worker_learns_what_two_do(world, trained):
    """Only the first epoch is compared: Adam makes much of rounding errors. tests/e2e/test_all_reduce.py is the exact proof."""
    pair, _ = trained
    alone = world.job("alone", epochs=EPOCHS, workers=1)
    candidate = world.train(alone)
    for metric in ("loss", "validation_loss"):
        np.testing.assert_allclose(world.history(alone, metric)[0], world.history(pair, metric)[0], rtol=1e-3)
    assert candidate.metrics["validation_accuracy"] > 0.9


def test_a_killed_worker_fails_the_job_and_the_next_try_goes_on(world, trained):
    undisturbed, _ = trained
    job = world.job("disturbed", epochs=EPOCHS)
    killed = []

    def kill_worker_1(line):
        if line.startswith("[worker 1] epoch 2/"):
            _workers(world.home)[1].kill()
            killed.append(time.monotonic())

    with pytest.raises(TrainingFailedError, match=r"worker 1 of 2 was ended by SIGKILL; its last lines:\n(.*\n)*epoch 2/4"):
        world.train(job, kill_worker_1)
    assert time.monotonic() - killed[0] < ENDED_WITHIN_SECONDS
    assert not _workers(world.home)
    failed = world.run_of(job)
    assert failed.info.status == "FAILED"
    assert "SIGKILL" in failed.data.tags["headrace.failure"]

    lines = []
    candidate = world.train(job, lines.append)
    assert candidate.run_id == failed.info.run_id
    assert "[worker 0] resumed after epoch 2 of 4" in lines
    assert world.run_of(job).info.status == "FINISHED"
    for metric in ("loss", "validation_loss"):
        np.testing.assert_allclose(world.history(job, metric), world.history(undisturbed, metric), rtol=2e-4)


def test_a_job_that_died_before_its_result_logs_nothing_twice(world, trained):
    job, candidate = trained
    before = {metric: world.history(job, metric) for metric in world.run_of(job).data.metrics}
    world.store.delete(job.result_key)
    assert world.train(job).version == candidate.version
    assert {metric: world.history(job, metric) for metric in world.run_of(job).data.metrics} == before
    models = world.client.search_logged_models([world.run_of(job).info.experiment_id])
    assert sorted(model.name for model in models if model.source_run_id == candidate.run_id) == ["keras", "model"]


def test_a_taken_port_is_named(world, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        addresses = (f"127.0.0.1:{taken.getsockname()[1]}", *local_processes.free_addresses(1))
        monkeypatch.setattr(local_processes, "free_addresses", lambda count: addresses)
        with pytest.raises(TrainingFailedError, match=f"cannot listen.*{addresses[0]}"):
            world.train(world.job("taken-port"))


LAUNCHER = """
import os, sys
from headrace.adapters.local_processes import LocalTrainingLauncher
from headrace.specs.training import TrainingJob
LocalTrainingLauncher().run(TrainingJob.model_validate_json(sys.argv[1]), environment={}, log=print)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_whoever_launched_it(world, tmp_path, number):
    command = [sys.executable, "-c", LAUNCHER, world.job("orphan").model_dump_json()]
    with subprocess.Popen(command, env=os.environ | {"HEADRACE_HOME": str(tmp_path)}) as launcher:
        _wait_until(lambda: len(_workers(tmp_path)) == 2, seconds=60)
        launcher.send_signal(number)
        assert launcher.wait(20) in (-number, 128 + number)
    _wait_until(lambda: not _workers(tmp_path), seconds=10)
