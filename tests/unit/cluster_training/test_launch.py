"""What a try finds of an earlier one: a job that runs is taken over, one that failed makes room, and there are never two."""

import asyncio
from dataclasses import replace

import pytest

from fakes import FakeStore, FixedClock
from fakes_promotion import FakeRegistry
from fakes_training import FakeRunEnding, FakeTracking
from fakes_worker_pods import FakeWorkerPods
from headrace.errors import UnavailableError
from headrace.ports.worker_pods import JobPhase
from headrace.render.job import JobTarget, job_name, render_job, render_service
from headrace.specs.dataset import Split
from headrace.usecases.cluster_training.launch import launch, stop
from headrace.usecases.train import TrainingRecords
from training_data import training_job, write_version

JOB = training_job(write_version(FakeStore(), rows={Split.TRAIN: 10, Split.VALIDATION: 5, Split.TEST: 5}))
NAME = job_name(JOB)
TARGET = JobTarget(namespace="ml", image="trainer")


class World:
    """Tries of one job."""

    def __init__(self):
        self.pods = FakeWorkerPods(FixedClock())
        self.tracking = FakeTracking()
        self.records = TrainingRecords(tracking=self.tracking, registry=FakeRegistry(), store=FakeStore())

    def launch(self, owner):
        launching = launch(
            self.pods,
            JOB,
            records=self.records,
            render=lambda environment: render_job(JOB, TARGET, environment=environment),
            service=lambda uid: render_service(JOB, TARGET, uid=uid),
            owner=owner,
            log=print,
        )
        self.run_id = asyncio.run(launching)

    def stop(self, owner):
        runs = FakeRunEnding(self.tracking)
        asyncio.run(stop(self.pods, JOB, run_id=self.run_id, runs=runs, owner=owner, log=print))

    @property
    def job(self):
        return self.pods.jobs[NAME]

    @property
    def run(self):
        (run,) = self.tracking.runs.values()
        return run


@pytest.fixture
def world():
    return World()


def test_a_first_try_creates_a_suspended_job_with_its_service(world):
    world.launch("try-1")
    assert world.job.state.phase is JobPhase.SUSPENDED
    assert world.job.service["metadata"]["ownerReferences"][0]["uid"] == world.job.state.uid


@pytest.mark.parametrize("phase", [JobPhase.SUSPENDED, JobPhase.ACTIVE, JobPhase.SUCCEEDED])
def test_a_job_of_an_earlier_try_is_taken_over(world, phase):
    world.launch("try-1")
    before = world.job.state = replace(world.job.state, phase=phase)
    world.launch("try-2")
    assert world.job.state == replace(before, owner="try-2")
    assert len(world.tracking.runs) == 1


@pytest.mark.parametrize("change", [{"phase": JobPhase.FAILED}, {"deleting": True}])
def test_a_job_that_failed_or_is_going_is_removed_first(world, change):
    world.launch("try-1")
    old = world.job.state = replace(world.job.state, **change)
    world.launch("try-2")
    assert world.job.state.uid != old.uid
    assert len(world.tracking.runs) == 1


def test_a_service_that_was_never_made_is_made_by_the_next_try(world):
    world.launch("try-1")
    world.job.service = None
    world.launch("try-2")
    assert world.job.service


def test_a_stopped_job_is_gone_and_its_run_says_why(world):
    world.launch("try-1")
    world.stop("try-1")
    assert not world.pods.jobs
    assert world.run.failure.startswith("stopped")


def test_who_lost_a_job_to_a_later_try_cannot_stop_it(world):
    world.launch("try-1")
    world.launch("try-2")
    world.stop("try-1")
    assert NAME in world.pods.jobs
    assert world.run.state == "RUNNING"


def test_a_tracking_server_that_is_away_does_not_keep_a_stopped_job(world, monkeypatch):
    world.launch("try-1")

    def away(*_):
        raise UnavailableError("MLflow does not answer")

    monkeypatch.setattr(world.tracking, "fail_run", away)
    world.stop("try-1")
    assert not world.pods.jobs
