"""Training one member: whatever happens, its run says so, and it is registered at most once."""

import threading

import pytest

from fakes import FakeLocks, FakeStore
from fakes_promotion import FakeRegistry
from fakes_training import FakeLauncher, FakeTracking
from headrace.errors import TrainingFailedError
from headrace.specs.dataset import Split
from headrace.usecases.train import Trainer, TrainingRecords
from training_data import training_job, write_version


class World:
    """A trainer on fakes."""

    def __init__(self):
        self.store = FakeStore()
        self.tracking, self.registry, self.locks = FakeTracking(), FakeRegistry(), FakeLocks()
        self.launcher = FakeLauncher(self.store)
        self.lines = []
        rows = {Split.TRAIN: 10, Split.VALIDATION: 5, Split.TEST: 5}
        self.job = training_job(write_version(self.store, rows=rows))

    def train(self):
        trainer = Trainer(
            records=TrainingRecords(tracking=self.tracking, registry=self.registry, store=self.store),
            launcher=self.launcher,
            locks=self.locks,
            environment={"MLFLOW_TRACKING_URI": "http://mlflow"},
        )
        return trainer.train(self.job, log=self.lines.append)

    @property
    def run(self):
        (run,) = self.tracking.runs.values()
        return run


@pytest.fixture
def world():
    return World()


def _raise(error):
    def instead():
        raise error

    return instead


def test_a_trained_member_becomes_a_registered_candidate(world):
    candidate = world.train()
    assert (candidate.member, candidate.model, candidate.version, candidate.run_id) == ("cnn", "tiny", 1, "run-1")
    assert candidate.metrics["validation_accuracy"] == 0.91
    assert world.run.state == "FINISHED"
    assert world.registry.version("tiny", 1).tags["validation_accuracy"] == "0.9100"
    assert world.registry.version("tiny", 1).tags["headrace.dataset_digest"] == world.job.dataset.digest


def test_workers_are_told_the_run_that_was_opened_for_them(world):
    world.train()
    assert world.launcher.environments == [{"MLFLOW_TRACKING_URI": "http://mlflow", "MLFLOW_RUN_ID": "run-1"}]
    assert world.lines == ["[worker 0] epoch 1/1"]


def test_a_dead_worker_fails_the_run_with_its_last_lines(world):
    world.launcher.instead = _raise(TrainingFailedError("worker 1 of 2 was ended by SIGKILL; its last lines:\nepoch 1/4"))
    with pytest.raises(TrainingFailedError):
        world.train()
    assert world.run.state == "FAILED"
    assert "SIGKILL" in world.run.failure
    assert "epoch 1/4" in world.run.failure


def test_the_next_try_goes_on_in_the_same_run(world):
    world.launcher.instead = _raise(TrainingFailedError("dead"))
    with pytest.raises(TrainingFailedError):
        world.train()
    world.launcher.instead = None
    assert world.train().run_id == "run-1"
    assert world.run.state == "FINISHED"


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(143)])
def test_a_stopped_job_fails_its_run_and_stays_stopped(world, stop):
    world.launcher.instead = _raise(stop)
    with pytest.raises(type(stop)):
        world.train()
    assert world.run.state == "FAILED"
    assert world.run.failure.startswith("stopped")


def test_a_job_that_is_done_is_not_run_again_but_registered_once(world):
    first = world.train()
    assert world.train() == first
    assert len(world.launcher.environments) == 1


def test_workers_that_leave_no_result_are_a_failure(world):
    world.launcher.instead = lambda: None
    with pytest.raises(TrainingFailedError, match="left no result"):
        world.train()
    assert world.run.state == "FAILED"


def test_two_tries_of_a_job_never_run_side_by_side(world):
    """The lock is held while workers run, and free afterwards."""
    waited = []

    def try_again():
        with world.locks.hold("train/tiny/run-1/cnn") as had_to_wait:
            waited.append(had_to_wait)

    second = threading.Thread(target=try_again)

    def while_running():
        second.start()
        second.join(timeout=0.2)
        assert waited == []
        raise TrainingFailedError("dead")

    world.launcher.instead = while_running
    with pytest.raises(TrainingFailedError):
        world.train()
    second.join(timeout=10)
    assert waited == [True]
