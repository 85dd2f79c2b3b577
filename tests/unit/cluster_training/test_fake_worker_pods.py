"""The fake keeps the contract."""

import asyncio

import pytest

from fakes import FixedClock
from fakes_worker_pods import FakeWorkerPods
from headrace.ports.worker_pods import EndingKind, JobPhase
from headrace.render.job import JobTarget
from worker_pods_contract import LINES, WorkerPodsContract


class FakeCluster:
    """A cluster that does what the suite says, at once."""

    def __init__(self):
        clock = FixedClock()
        clock.now = clock.now.now(clock.now.tzinfo)
        self.pods = FakeWorkerPods(clock)
        self.target = JobTarget(namespace="ml", image="trainer")

    def session(self, scene):
        asyncio.run(scene())

    async def let_workers_print(self, name):
        self.pods.start(name)
        for rank in self.pods.jobs[name].pods:
            self.pods.write(name, rank, *LINES)

    async def let_workers_end(self, name, code):
        ranks = list(self.pods.jobs[name].pods) if code == 0 else [0]
        kind = EndingKind.EXIT if code else EndingKind.DONE
        for rank in ranks:
            self.pods.end(name, rank, kind, f"ended with exit code {code}")
        self.pods.finish(name, JobPhase.FAILED if code else JobPhase.SUCCEEDED, "BackoffLimitExceeded: …" if code else "")

    async def limit_pods(self, count):
        self.pods.room = count


class TestFakeWorkerPods(WorkerPodsContract):
    @pytest.fixture
    def cluster(self):
        return FakeCluster()
