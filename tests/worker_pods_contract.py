"""What `ports.worker_pods.WorkerPods` promises, asked of the fake (tests/unit) and of a real API server (tests/cluster)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest

from fakes import FakeStore
from headrace.errors import NotFoundError
from headrace.ports.worker_pods import EndingKind, JobPhase, Manifest, WorkerPods
from headrace.render.job import JobTarget, job_name, render_job, render_service
from headrace.specs.dataset import Split
from headrace.specs.training import Resources
from training_data import training_job, write_version

LINES = ["first", "second", "third"]


class Cluster(Protocol):
    """A cluster under test, and the way to it.

    Attributes:
        pods: what is tested; only inside `session`.
        target: where jobs run.
    """

    pods: WorkerPods
    target: JobTarget

    def session(self, scene: Callable[[], Awaitable[None]]) -> None:
        """Run a scene while `pods` is connected."""

    async def let_workers_print(self, name: str) -> None:
        """Return when all workers of a job have printed LINES; they go on running."""

    async def let_workers_end(self, name: str, code: int) -> None:
        """Return when the first worker has ended so, and the job is no longer active."""

    async def limit_pods(self, count: int) -> None:
        """Let the namespace have no more pods than that."""


class WorkerPodsContract:
    """The suite; a subclass gives the fixture `cluster`."""

    @pytest.fixture
    def job(self, request):
        """A job of two small workers, another for every test."""
        version = write_version(FakeStore(), rows={Split.TRAIN: 10, Split.VALIDATION: 5, Split.TEST: 5})
        job = training_job(version, resources=Resources(cpu="50m", memory="64Mi"))
        return job.model_copy(update={"run": request.node.name})

    @pytest.fixture
    def name(self, job):
        return job_name(job)

    @pytest.fixture
    def create(self, cluster, job):
        async def create(owner: str = "first") -> bool:
            manifest = render_job(job, cluster.target, environment={})
            return await cluster.pods.create(manifest, service, owner=owner)

        def service(uid: str) -> Manifest:
            return render_service(job, cluster.target, uid=uid)

        return create

    def test_of_a_name_there_is_one_job(self, cluster, name, create):
        async def scene():
            assert await cluster.pods.find(name) is None
            assert await create()
            first = await cluster.pods.find(name)
            assert (first.phase, first.owner, first.admitted) == (JobPhase.SUSPENDED, "first", None)
            assert not await create("second")
            assert (await cluster.pods.find(name)).uid == first.uid
            assert (await cluster.pods.find(name)).owner == "first"
            assert first.needs["pods"] == 2

        cluster.session(scene)

    def test_who_claims_a_job_has_it(self, cluster, name, create):
        async def scene():
            with pytest.raises(NotFoundError):
                await cluster.pods.claim(name, owner="second")
            await create()
            assert (await cluster.pods.claim(name, owner="second")).owner == "second"
            assert not await cluster.pods.delete(name, owner="first")
            assert await cluster.pods.find(name)
            assert await cluster.pods.delete(name, owner="second")
            assert await cluster.pods.find(name) is None

        cluster.session(scene)

    def test_a_deleted_job_makes_room_for_another_at_once(self, cluster, name, create):
        async def scene():
            await create()
            old = await cluster.pods.find(name)
            await cluster.pods.admit(name)
            await cluster.let_workers_print(name)
            assert await cluster.pods.delete(name)
            assert await cluster.pods.delete(name)
            assert await cluster.pods.workers(old.uid) == []
            assert await create()
            await cluster.pods.admit(name)
            await cluster.let_workers_print(name)

        cluster.session(scene)

    def test_an_admitted_job_has_all_its_pods_and_a_suspended_one_none(self, cluster, name, create):
        async def scene():
            await create()
            await cluster.pods.admit(name)
            await cluster.let_workers_print(name)
            state = await cluster.pods.find(name)
            assert state.phase is JobPhase.ACTIVE
            assert abs((state.admitted - datetime.now(UTC)).total_seconds()) < 120
            workers = await cluster.pods.workers(state.uid)
            assert [(worker.rank, worker.started, worker.waits, worker.ending) for worker in workers] == [
                (0, True, "", None),
                (1, True, "", None),
            ]
            await cluster.pods.suspend(name)
            await _until(lambda: _no_workers(cluster, state.uid))
            assert (await cluster.pods.find(name)).phase is JobPhase.SUSPENDED

        cluster.session(scene)

    def test_what_is_done_to_a_job_that_is_gone_does_nothing(self, cluster, name):
        async def scene():
            await cluster.pods.admit(name)
            await cluster.pods.suspend(name)
            assert await cluster.pods.workers("no-such-uid") == []
            assert await cluster.pods.complaints("no-such-uid") == []
            assert await cluster.pods.removed("no-such-uid") == frozenset()
            assert await cluster.pods.tail("no-such-pod", lines=3) in ([], ())

        cluster.session(scene)

    def test_a_log_is_read_from_the_begin_or_after_a_line(self, cluster, name, create):
        async def scene():
            await create()
            await cluster.pods.admit(name)
            await cluster.let_workers_print(name)
            worker = (await cluster.pods.workers((await cluster.pods.find(name)).uid))[0]
            lines = await _read(cluster.pods, worker.name, count=3)
            assert [line.text for line in lines] == LINES
            assert sorted({line.at for line in lines}) == [line.at for line in lines]
            again = await _read(cluster.pods, worker.name, count=1, after=lines[1].at)
            # Whole seconds are all that the API server tells apart; who follows drops what it has.
            assert [line.text for line in again if line.at > lines[1].at][-1:] in (["third"], [])
            assert list(await cluster.pods.tail(worker.name, lines=2)) == LINES[1:]
            with pytest.raises(NotFoundError):
                await _read(cluster.pods, "no-such-pod", count=1)

        cluster.session(scene)

    def test_how_far_the_logs_were_read_is_kept(self, cluster, name, create):
        async def scene():
            await create()
            await cluster.pods.mark(name, {0: "2026-11-21T11:00:00.000000001Z"})
            assert (await cluster.pods.find(name)).positions == {0: "2026-11-21T11:00:00.000000001Z"}

        cluster.session(scene)

    def test_a_worker_that_fails_ends_the_job_and_the_others_are_removed(self, cluster, name, create):
        async def scene():
            await create()
            await cluster.pods.admit(name)
            await cluster.let_workers_print(name)
            await cluster.let_workers_end(name, 3)
            state = await cluster.pods.find(name)
            assert state.phase is JobPhase.FAILED
            assert state.reason.startswith("BackoffLimitExceeded")
            workers = await cluster.pods.workers(state.uid)
            (bad,) = [each for each in workers if each.ending and each.ending.kind is EndingKind.EXIT]
            assert (bad.rank, bad.ending.how) == (0, "ended with exit code 3")
            assert bad.name not in await cluster.pods.removed(state.uid)
            assert len(await cluster.pods.removed(state.uid)) == 1

        cluster.session(scene)

    def test_workers_that_end_well_end_the_job_well(self, cluster, name, create):
        async def scene():
            await create()
            await cluster.pods.admit(name)
            await cluster.let_workers_print(name)
            await cluster.let_workers_end(name, 0)
            assert (await cluster.pods.find(name)).phase is JobPhase.SUCCEEDED

        cluster.session(scene)

    def test_a_quota_counts_what_is_used(self, cluster, name, create):
        async def scene():
            await create()
            uid = (await cluster.pods.find(name)).uid
            assert await cluster.pods.quotas(uid) == []
            await cluster.limit_pods(3)
            (quota,) = await cluster.pods.quotas(uid)
            assert (quota.hard["pods"], quota.used["pods"]) == (3, 0)

        cluster.session(scene)

    def test_pods_beyond_the_quota_are_complained_about(self, cluster, name, create):
        async def scene():
            await cluster.limit_pods(1)
            await create()
            await cluster.pods.admit(name)
            state = await cluster.pods.find(name)
            await _until(lambda: _complaint(cluster, state.uid))
            assert len(await cluster.pods.workers(state.uid)) == 1

        cluster.session(scene)


async def _until(condition: Callable[[], Awaitable[Any]], *, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.1)


async def _no_workers(cluster: Cluster, uid: str) -> bool:
    return not await cluster.pods.workers(uid)


async def _complaint(cluster: Cluster, uid: str) -> bool:
    return any("exceeded quota" in complaint for complaint in await cluster.pods.complaints(uid))


async def _read(pods: WorkerPods, pod: str, *, count: int, after: str = "") -> list[Any]:
    lines = []
    stream = pods.log(pod, after=after)
    async with asyncio.timeout(20):
        async for line in stream:
            lines.append(line)
            if len(lines) == count:
                break
    await stream.aclose()
    return lines
