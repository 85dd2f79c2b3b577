"""What a try finds of an earlier one: a job that runs is taken over, one that failed makes room, and there are never two."""

import asyncio
from dataclasses import replace

import pytest

from fakes import FakeStore, FixedClock
from fakes_worker_pods import FakeWorkerPods
from headrace.ports.worker_pods import JobPhase
from headrace.render.job import JobTarget, job_name
from headrace.specs.dataset import Split
from headrace.usecases.cluster_training.launch import adopt, launch
from training_data import training_job, write_version

JOB = training_job(write_version(FakeStore(), rows={Split.TRAIN: 10, Split.VALIDATION: 5, Split.TEST: 5}))
NAME = job_name(JOB)


@pytest.fixture
def pods():
    return FakeWorkerPods(FixedClock())


async def _launch(pods, owner="try-1"):
    await launch(pods, JOB, JobTarget(namespace="ml", image="trainer"), environment={}, owner=owner, log=print)


def _adopt(pods, owner="try-2"):
    return asyncio.run(adopt(pods, NAME, owner=owner, log=print))


def test_a_first_try_finds_nothing_and_creates_a_suspended_job_with_its_service(pods):
    assert not _adopt(pods)
    asyncio.run(_launch(pods))
    job = pods.jobs[NAME]
    assert job.state.phase is JobPhase.SUSPENDED
    assert job.service["metadata"]["ownerReferences"][0]["uid"] == job.state.uid


@pytest.mark.parametrize("phase", [JobPhase.SUSPENDED, JobPhase.ACTIVE, JobPhase.SUCCEEDED])
def test_a_job_of_an_earlier_try_is_taken_over(pods, phase):
    asyncio.run(_launch(pods))
    before = pods.jobs[NAME].state = replace(pods.jobs[NAME].state, phase=phase)
    assert _adopt(pods)
    asyncio.run(_launch(pods, "try-2"))
    assert pods.jobs[NAME].state == replace(before, owner="try-2")


def test_who_lost_a_job_to_a_later_try_cannot_delete_it(pods):
    asyncio.run(_launch(pods))
    assert _adopt(pods)
    assert not asyncio.run(pods.delete(NAME, owner="try-1"))
    assert NAME in pods.jobs


@pytest.mark.parametrize("change", [{"phase": JobPhase.FAILED}, {"deleting": True}])
def test_a_job_that_failed_or_is_going_is_removed_first(pods, change):
    asyncio.run(_launch(pods))
    old = pods.jobs[NAME].state = replace(pods.jobs[NAME].state, **change)
    assert not _adopt(pods)
    asyncio.run(_launch(pods, "try-2"))
    assert pods.jobs[NAME].state.uid != old.uid


def test_a_service_that_was_never_made_is_made_by_the_next_try(pods):
    asyncio.run(_launch(pods))
    pods.jobs[NAME].service = None
    assert _adopt(pods)
    asyncio.run(_launch(pods, "try-2"))
    assert pods.jobs[NAME].service
