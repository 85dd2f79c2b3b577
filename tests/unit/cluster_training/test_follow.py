"""Following a job on a cluster: it starts whole or not at all, says what it waits for, and its failure names who is to blame."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from fakes import FakeStore, FixedClock
from fakes_worker_pods import FakeWorkerPods
from headrace.errors import ForbiddenError, TrainingFailedError, UnavailableError
from headrace.ports.worker_pods import EndingKind, JobPhase
from headrace.render.job import JobTarget, job_name, render_job, render_service
from headrace.specs.dataset import Split
from headrace.specs.training import Placement
from headrace.usecases.cluster_training import follow, worker_logs
from headrace.usecases.cluster_training.follow import JobFollower
from training_data import training_job, write_version

TARGET = JobTarget(namespace="ml", image="trainer")


async def create(pods, job):
    await pods.create(render_job(job, TARGET, environment={}), lambda uid: render_service(job, TARGET, uid=uid), owner="try-1")


class World:
    """A cluster on a fake, and jobs that are followed on it."""

    def __init__(self):
        self.clock = FixedClock()
        self.pods = FakeWorkerPods(self.clock)
        self.lines = []
        version = write_version(FakeStore(), rows={Split.TRAIN: 10, Split.VALIDATION: 5, Split.TEST: 5})
        self.job = training_job(version)
        self.name = job_name(self.job)

    async def launch(self, job=None):
        await create(self.pods, job or self.job)

    def follower(self):
        within = timedelta(seconds=60)
        return JobFollower(self.pods, self.job, schedule_within=within, clock=self.clock, log=self.lines.append)

    @asynccontextmanager
    async def following(self):
        """A follower at work; at the end of the block it is waited for, and raises what it raises."""
        task = asyncio.create_task(self.follower().follow())
        try:
            yield task
            await asyncio.wait_for(task, 5)
        finally:
            task.cancel()

    async def until(self, condition):
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.002)

    @property
    def phase(self):
        return self.pods.jobs[self.name].state.phase

    def said(self, text):
        return any(text in line for line in self.lines)

    async def running(self):
        """Wait until the job is admitted, and run its workers."""
        await self.until(lambda: self.phase is JobPhase.ACTIVE)
        self.pods.start(self.name)


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.005)
    monkeypatch.setattr(worker_logs, "RECONNECT_SECONDS", 0.005)
    monkeypatch.setattr(worker_logs, "FINISH_SECONDS", 1.0)
    return World()


def run(scene):
    asyncio.run(scene)


def test_a_job_is_admitted_followed_and_ends_well(world):
    async def scene():
        await world.launch()
        async with world.following():
            await world.running()
            for rank in (0, 1):
                world.pods.write(world.name, rank, f"hello from {rank}", "epoch 1/1")
                world.pods.end(world.name, rank)
            world.pods.finish(world.name, JobPhase.SUCCEEDED)

    run(scene())
    assert world.said("there is room for all workers")
    assert [line for line in world.lines if line.startswith("[worker 0]")] == ["[worker 0] hello from 0", "[worker 0] epoch 1/1"]
    assert [line for line in world.lines if line.startswith("[worker 1]")] == ["[worker 1] hello from 1", "[worker 1] epoch 1/1"]


def test_a_job_waits_for_room_for_all_its_workers_and_says_so(world):
    async def scene():
        world.pods.room = 1
        await world.launch()
        world.pods.room = 3
        other = world.job.model_copy(update={"name": "other"})
        await world.launch(other)
        await world.pods.admit(job_name(other))
        async with world.following():
            await world.until(lambda: world.said("waits for quota"))
            assert world.phase is JobPhase.SUSPENDED
            await world.pods.delete(job_name(other))
            await world.running()
            world.pods.finish(world.name, JobPhase.SUCCEEDED)

    run(scene())
    assert "waits for quota: pods 2 of 3 used, this job needs 2" in world.lines
    assert sum("waits for quota" in line for line in world.lines) == 1


def test_a_job_that_can_never_fit_fails_at_once(world):
    async def scene():
        world.pods.room = 1
        await world.launch()
        async with world.following():
            pass

    with pytest.raises(TrainingFailedError, match="quota `fake` is too small: pods 0 of 1 used, this job needs 2"):
        run(scene())


def test_a_job_that_got_only_a_part_of_its_pods_gives_them_back(world, monkeypatch):
    monkeypatch.setattr(follow, "WAIT_AGAIN_SECONDS", (5.0, 5.0))

    async def scene():
        # Somebody else took the room between the look at the quota and the pods' creation.
        world.pods.room, world.pods.reported_room = 1, 2
        await world.launch()
        async with world.following():
            await world.until(lambda: world.phase is JobPhase.ACTIVE)
            world.clock.pass_time(seconds=11)
            await world.until(lambda: world.phase is JobPhase.SUSPENDED)
            assert not world.pods.jobs[world.name].pods
            world.pods.room = world.pods.reported_room = 2
            world.clock.pass_time(seconds=6)
            await world.running()
            world.pods.finish(world.name, JobPhase.SUCCEEDED)

    run(scene())
    assert world.said(
        "1 of 2 pods could not be created, so the job is suspended and waits again: pods is forbidden: exceeded quota"
    )


def test_a_job_of_a_queue_is_left_to_kueue(world):
    world.job = world.job.model_copy(
        update={"training": world.job.training.model_copy(update={"placement": Placement(queue="research")})}
    )

    async def scene():
        await world.launch()
        async with world.following():
            await world.until(lambda: world.said("Kueue's queue `research`"))
            assert world.phase is JobPhase.SUSPENDED
            await world.pods.admit(world.name)
            await world.running()
            world.pods.finish(world.name, JobPhase.SUCCEEDED)

    run(scene())


def test_a_worker_without_a_node_fails_the_job_with_the_schedulers_reason(world):
    async def scene():
        await world.launch()
        async with world.following():
            await world.until(lambda: world.phase is JobPhase.ACTIVE)
            world.pods.start(world.name, 0)
            world.pods.hold_up(world.name, 1, "0/1 nodes are available: 1 Insufficient cpu.")
            await world.until(lambda: world.said("worker 1 waits: 0/1 nodes"))
            world.clock.pass_time(seconds=61)

    with pytest.raises(TrainingFailedError, match="worker 1 could not be started within 60 s: 0/1 nodes are available"):
        run(scene())


def test_a_killed_worker_is_blamed_with_its_last_lines(world):
    async def scene():
        await world.launch()
        async with world.following():
            await world.running()
            world.pods.write(world.name, 1, "epoch 1/4")
            world.pods.end(world.name, 1, EndingKind.KILLED, "was ended by SIGKILL")
            world.pods.finish(world.name, JobPhase.FAILED, "BackoffLimitExceeded: …")

    with pytest.raises(TrainingFailedError, match=r"worker 1 of 2 was ended by SIGKILL; its last lines:\nepoch 1/4"):
        run(scene())


def test_a_worker_that_only_missed_its_peer_is_not_blamed(world):
    async def scene():
        await world.launch()
        async with world.following():
            await world.running()
            world.pods.end(world.name, 0, EndingKind.PEER_LOST, "missed a peer (ended with exit code 6)")
            world.clock.pass_time(seconds=1)
            world.pods.end(world.name, 1, EndingKind.KILLED, "ran out of memory (OOMKilled, its limit is 2Gi)")
            world.pods.finish(world.name, JobPhase.FAILED, "BackoffLimitExceeded: …")

    with pytest.raises(TrainingFailedError, match="worker 1 of 2 ran out of memory"):
        run(scene())


def test_a_worker_of_which_nothing_is_heard_is_named_by_the_peer_that_missed_it(world):
    async def scene():
        await world.launch()
        async with world.following():
            await world.running()
            world.pods.end(world.name, 0, EndingKind.PEER_LOST, "missed a peer (ended with exit code 6)")
            world.pods.finish(world.name, JobPhase.FAILED, "BackoffLimitExceeded: …")

    with pytest.raises(TrainingFailedError, match=r"worker 0 of 2 missed a peer .*; worker 1 went without a word"):
        run(scene())


def test_a_pod_that_somebody_deleted_is_blamed_though_it_is_gone(world):
    async def scene():
        await world.launch()
        async with world.following():
            await world.running()
            world.pods.write(world.name, 1, "epoch 1/4")
            await world.until(lambda: world.said("[worker 1] epoch 1/4"))
            world.pods.lose_pod(world.name, 1)
            await asyncio.sleep(0.02)
            world.pods.finish(world.name, JobPhase.FAILED, "BackoffLimitExceeded: …")

    with pytest.raises(TrainingFailedError, match=r"worker 1 of 2 was deleted; its last lines:\nepoch 1/4"):
        run(scene())


def test_a_job_out_of_time_says_so_with_the_chiefs_last_lines(world):
    async def scene():
        await world.launch()
        async with world.following():
            await world.running()
            world.pods.write(world.name, 0, "epoch 1/4")
            await asyncio.sleep(0.02)
            world.pods.finish(world.name, JobPhase.FAILED, "DeadlineExceeded: Job was active longer than specified deadline")

    with pytest.raises(TrainingFailedError, match=r"worker 0 of 2 has not ended after 4 minute\(s\); its last lines:\nepoch 1/4"):
        run(scene())


def test_a_deleted_job_is_a_failure_that_says_so(world):
    async def scene():
        await world.launch()
        async with world.following():
            await world.running()
            await world.pods.delete(world.name)

    with pytest.raises(TrainingFailedError, match="somebody deleted the job"):
        run(scene())


def test_a_stream_that_breaks_off_is_taken_up_without_a_line_lost_or_repeated(world):
    async def scene():
        await world.launch()
        async with world.following():
            await world.until(lambda: world.phase is JobPhase.ACTIVE)
            world.pods.write(world.name, 0, *(f"line {number}" for number in range(10)))
            world.pods.jobs[world.name].pods[0].breaks_after = 4
            world.pods.start(world.name)
            await world.until(lambda: world.said("line 9"))
            world.pods.finish(world.name, JobPhase.SUCCEEDED)

    run(scene())
    assert [line for line in world.lines if "[worker 0]" in line] == [f"[worker 0] line {number}" for number in range(10)]


def test_another_follower_goes_on_where_the_first_was_stopped(world):
    async def scene():
        await world.launch()
        first = asyncio.create_task(world.follower().follow())
        await world.running()
        world.pods.write(world.name, 0, "before")
        await world.until(lambda: world.said("before"))
        first.cancel()
        await asyncio.wait([first])
        assert world.phase is JobPhase.ACTIVE
        world.pods.write(world.name, 0, "between")
        async with world.following():
            await world.until(lambda: world.said("between"))
            world.pods.finish(world.name, JobPhase.SUCCEEDED)

    run(scene())
    assert [line for line in world.lines if "[worker 0]" in line] == ["[worker 0] before", "[worker 0] between"]


def test_a_log_that_may_not_be_read_is_said_and_does_not_stop_the_job(world, monkeypatch):
    async def forbidden(*_, **__):
        raise ForbiddenError("cannot get pods/log")
        yield

    monkeypatch.setattr(world.pods, "log", forbidden)

    async def scene():
        await world.launch()
        async with world.following():
            await world.running()
            await world.until(lambda: world.said("[worker 1] its log cannot be read: cannot get pods/log"))
            world.pods.finish(world.name, JobPhase.SUCCEEDED)

    run(scene())


def test_what_a_worker_prints_is_bounded(world, monkeypatch):
    monkeypatch.setattr(worker_logs, "LINES_LIMIT", 5)

    async def scene():
        await world.launch()
        async with world.following():
            await world.until(lambda: world.phase is JobPhase.ACTIVE)
            world.pods.write(world.name, 0, *(f"line {number}" for number in range(100)), "x" * 10_000)
            world.pods.start(world.name)
            await world.until(lambda: world.said("more than 5 lines"))
            world.pods.finish(world.name, JobPhase.SUCCEEDED)

    run(scene())
    printed = [line for line in world.lines if "[worker 0]" in line]
    assert len(printed) == 5 + 1 + 20
    assert len(printed[-1]) < 4_100


def test_an_api_server_that_does_not_answer_is_asked_again(world):
    async def scene():
        await world.launch()
        async with world.following():
            await world.running()
            world.pods.unavailable = True
            await world.until(lambda: world.said("does not answer"))
            world.clock.pass_time(minutes=5)
            world.pods.unavailable = False
            world.pods.finish(world.name, JobPhase.SUCCEEDED)

    run(scene())


def test_an_api_server_that_is_gone_for_good_ends_the_following_not_the_job(world):
    async def scene():
        await world.launch()
        async with world.following():
            await world.running()
            world.pods.unavailable = True
            await world.until(lambda: world.said("does not answer"))
            world.clock.pass_time(minutes=11)

    with pytest.raises(UnavailableError):
        run(scene())
    assert world.phase is JobPhase.ACTIVE
