"""A written fake of a cluster's training jobs. It keeps the port's contract; tests/contract/test_worker_pods.py says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count

from headrace.errors import NotFoundError, UnavailableError
from headrace.ports.clock import Clock
from headrace.ports.worker_pods import (
    Ending,
    EndingKind,
    JobPhase,
    JobState,
    LoggedLine,
    Manifest,
    Quota,
    WorkerPod,
)
from headrace.render.job import QUEUE_LABEL


@dataclass
class FakePod:
    """A pod, and what it printed."""

    worker: WorkerPod
    lines: list[LoggedLine] = field(default_factory=list)
    breaks_after: int | None = None
    """Break the stream off, once, after so many lines."""


@dataclass
class FakeJob:
    """A job as the fake keeps it."""

    state: JobState
    workers: int
    service: Manifest | None
    pods: dict[int, FakePod] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)


class FakeWorkerPods:
    """`ports.worker_pods.WorkerPods` in memory. Nothing happens by itself: tests play the cluster.

    Attributes:
        jobs: by name.
        room: pods that may exist at once; None for no quota.
        unavailable: answer nothing while set.
    """

    def __init__(self, clock: Clock) -> None:
        self.jobs: dict[str, FakeJob] = {}
        self.room: int | None = None
        self.reported_room: int | None = None
        self.unavailable = False
        self._clock = clock
        self._numbers = count(1)

    # --- what the cluster does ---

    def start(self, name: str, *ranks: int) -> None:
        """Run the containers of these ranks, or of all."""
        for rank in ranks or self.jobs[name].pods:
            self._update(name, rank, started=True, waits="")

    def hold_up(self, name: str, rank: int, why: str) -> None:
        self._update(name, rank, waits=why)

    def write(self, name: str, rank: int, *texts: str) -> None:
        for text in texts:
            self.jobs[name].pods[rank].lines.append(LoggedLine(f"2026-11-21T11:00:00.{next(self._numbers):09}Z", text))

    def end(self, name: str, rank: int, kind: EndingKind = EndingKind.DONE, how: str = "ended well") -> None:
        self._update(name, rank, ending=Ending(kind=kind, how=how, at=self._clock()))

    def finish(self, name: str, phase: JobPhase, reason: str = "") -> None:
        """End the job as its controller does: when it failed, pods that still run are taken away."""
        job = self.jobs[name]
        job.state = replace(job.state, phase=phase, reason=reason)
        for rank, pod in list(job.pods.items()):
            if phase is JobPhase.FAILED and pod.worker.ending is None:
                job.removed.add(pod.worker.name)
                self.end(name, rank, EndingKind.DELETED, "was deleted")

    def lose_pod(self, name: str, rank: int) -> None:
        """Remove a pod as if it had never been."""
        del self.jobs[name].pods[rank]

    # --- the port ---

    async def find(self, name: str) -> JobState | None:
        self._answer()
        job = self.jobs.get(name)
        return job.state if job else None

    async def create(self, job: Manifest, service: Callable[[str], Manifest], *, owner: str) -> bool:
        self._answer()
        name = job["metadata"]["name"]
        new = name not in self.jobs
        if new:
            workers = job["spec"]["parallelism"]
            state = JobState(
                uid=f"uid-{next(self._numbers)}",
                phase=JobPhase.SUSPENDED,
                needs={"pods": Decimal(workers)},
                queue=job["metadata"]["labels"].get(QUEUE_LABEL, ""),
                owner=owner,
            )
            self.jobs[name] = FakeJob(state, workers, None)
        if self.jobs[name].service is None:
            self.jobs[name].service = service(self.jobs[name].state.uid)
        return new

    async def claim(self, name: str, *, owner: str) -> JobState:
        return self._change(name, owner=owner)

    async def delete(self, name: str, *, owner: str | None = None) -> bool:
        self._answer()
        if name in self.jobs and owner not in (None, self.jobs[name].state.owner):
            return False
        self.jobs.pop(name, None)
        return True

    async def admit(self, name: str) -> None:
        self._answer()
        job = self.jobs.get(name)
        if job and job.state.phase is JobPhase.SUSPENDED:
            self._change(name, phase=JobPhase.ACTIVE, admitted=self._clock())
            free = job.workers if self.room is None else max(0, self.room - self._pods())
            for rank in range(min(free, job.workers)):
                job.pods[rank] = FakePod(WorkerPod(rank=rank, name=f"{name}-{rank}-{next(self._numbers)}"))
            if free < job.workers:
                job.complaints.append("pods is forbidden: exceeded quota: fake")

    async def suspend(self, name: str) -> None:
        self._answer()
        if name in self.jobs and self.jobs[name].state.phase is JobPhase.ACTIVE:
            self._change(name, phase=JobPhase.SUSPENDED, admitted=None)
            self.jobs[name].pods.clear()

    async def mark(self, name: str, positions: Mapping[int, str]) -> None:
        self._change(name, positions=dict(positions))

    async def workers(self, uid: str) -> Sequence[WorkerPod]:
        job = self._by_uid(uid)
        return [pod.worker for _, pod in sorted(job.pods.items())] if job else []

    async def complaints(self, uid: str) -> Sequence[str]:
        job = self._by_uid(uid)
        return list(job.complaints) if job else []

    async def removed(self, uid: str) -> frozenset[str]:
        job = self._by_uid(uid)
        return frozenset(job.removed) if job else frozenset()

    async def quotas(self, uid: str) -> Sequence[Quota]:
        self._answer()
        if self.room is None:
            return []
        hard = self.room if self.reported_room is None else self.reported_room
        return [Quota(name="fake", hard={"pods": Decimal(hard)}, used={"pods": Decimal(self._pods())})]

    async def log(self, pod: str, *, after: str = "") -> AsyncIterator[LoggedLine]:
        given = 0
        while True:
            found = self._pod(pod)
            if not found.worker.started:
                raise NotFoundError("its container has not started", where=pod)
            for line in [line for line in found.lines if line.at > after]:
                if given == found.breaks_after:
                    found.breaks_after = None
                    return
                yield line
                after, given = line.at, given + 1
            if found.worker.ending:
                return
            await asyncio.sleep(0.001)

    async def tail(self, pod: str, *, lines: int) -> Sequence[str]:
        self._answer()
        try:
            return [line.text for line in self._pod(pod).lines[-lines:]]
        except NotFoundError:
            return ()

    def _answer(self) -> None:
        if self.unavailable:
            raise UnavailableError("the Kubernetes API server does not answer")

    def _pods(self) -> int:
        return sum(pod.worker.ending is None for job in self.jobs.values() for pod in job.pods.values())

    def _by_uid(self, uid: str) -> FakeJob | None:
        self._answer()
        return next((job for job in self.jobs.values() if job.state.uid == uid), None)

    def _pod(self, name: str) -> FakePod:
        self._answer()
        for job in self.jobs.values():
            for pod in job.pods.values():
                if pod.worker.name == name:
                    return pod
        raise NotFoundError("there is no such pod", where=name)

    def _change(self, name: str, **values: object) -> JobState:
        self._answer()
        if name not in self.jobs:
            raise NotFoundError("there is no such job", where=name)
        self.jobs[name].state = replace(self.jobs[name].state, **values)
        return self.jobs[name].state

    def _update(self, name: str, rank: int, **values: object) -> None:
        pod = self.jobs[name].pods[rank]
        pod.worker = replace(pod.worker, **values)
