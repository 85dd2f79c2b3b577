"""Following a job from its admission to its end, without a process of its own: one look every other second."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from headrace.errors import HeadraceError, TrainingFailedError, UnavailableError
from headrace.ports.clock import Clock
from headrace.ports.log import LogLine
from headrace.ports.worker_pods import Ending, EndingKind, JobPhase, JobState, WorkerPod, WorkerPods
from headrace.render.job import job_name
from headrace.render.worker_failure import job_failure, timeout_failure, worker_failure
from headrace.specs.training import TrainingJob
from headrace.usecases.cluster_training.admission import shortages
from headrace.usecases.cluster_training.verdict import culprit, describe
from headrace.usecases.cluster_training.worker_logs import WorkerLogs

POLL_SECONDS = 2.0
CREATE_WITHIN = timedelta(seconds=10)
"""For an admitted job's pods to be created; then something keeps the rest of them out."""
WAIT_AGAIN_SECONDS = (5.0, 20.0)
"""Before a job that got only a part of its pods asks for room again. Drawn, so that two such jobs do not meet again."""
PATIENCE = timedelta(minutes=10)
"""With an API server that does not answer; the job runs on meanwhile."""
MARK_EVERY = timedelta(seconds=15)
"""How much of the workers' logs another follower would repeat if this one died without a word."""
_QUOTA_EXCEEDED = "exceeded quota"
_DEADLINE_EXCEEDED = "DeadlineExceeded"


class JobFollower:
    """Follows one job. Whoever follows it after this one was stopped takes up where it left off, logs included."""

    def __init__(self, pods: WorkerPods, job: TrainingJob, *, schedule_within: timedelta, clock: Clock, log: LogLine) -> None:
        """Fail the job if one of its pods, once admitted, does not get a node in time."""
        self._pods = pods
        self._job = job
        self._name = job_name(job)
        self._schedule_within = schedule_within
        self._clock = clock
        self._log = log
        self._said = ""
        self._seen: dict[int, WorkerPod] = {}
        self._answered = clock()
        self._marked = clock()
        self._ask_again = clock()

    async def follow(self) -> None:
        """Admit the job when there is room, pass on what its workers print, and return when all have ended well.

        Raises:
            TrainingFailedError: it ended badly, was deleted, or cannot run; names the worker, how it ended, its last lines.
            UnavailableError: the API server has not answered for too long; the job may still run.
            ForbiddenError: the account lacks a right.
        """
        state = await self._patiently(self._find)
        async with WorkerLogs(self._pods, log=self._log, positions=state.positions) as logs:
            try:
                while not await self._patiently(lambda: self._look(logs)):
                    await asyncio.sleep(POLL_SECONDS)
            finally:
                with contextlib.suppress(HeadraceError, TimeoutError):
                    await asyncio.wait_for(self._pods.mark(self._name, logs.positions), timeout=POLL_SECONDS)

    async def _patiently[Result](self, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Ask until there is an answer, within PATIENCE since the last one."""
        while True:
            try:
                answer = await ask()
            except UnavailableError as error:
                if self._clock() - self._answered > PATIENCE:
                    raise
                self._say(f"{error} Asking again.")
                await asyncio.sleep(POLL_SECONDS)
            else:
                self._answered = self._clock()
                return answer

    async def _find(self) -> JobState:
        state = await self._pods.find(self._name)
        if state is None or state.deleting:
            raise job_failure(self._job, "somebody deleted the job while it was followed")
        return state

    async def _look(self, logs: WorkerLogs) -> bool:
        """One look; True when the job has ended well."""
        state = await self._find()
        if state.phase is JobPhase.SUSPENDED:
            self._seen.clear()
            await self._wait_for_room(state)
            return False
        workers = await self._pods.workers(state.uid)
        self._notice(workers)
        logs.follow(workers)
        await self._mark(logs)
        if state.phase is JobPhase.ACTIVE:
            await self._check_start(state, workers)
            return False
        await logs.finish()
        if state.phase is JobPhase.FAILED:
            raise await self._failure(state, logs)
        return True

    async def _wait_for_room(self, state: JobState) -> None:
        """Admit the job when all its pods fit, unless Kueue does that."""
        if state.queue:
            self._say(f"waits until Kueue's queue `{state.queue}` admits it")
            return
        if self._clock() < self._ask_again:
            return
        short = shortages(state.needs, await self._pods.quotas(state.uid))
        for shortage in short:
            if shortage.for_good:
                raise job_failure(self._job, f"it can never start: quota `{shortage.quota}` is too small: {shortage}")
        if short:
            self._say(f"waits for quota: {'; '.join(str(shortage) for shortage in short)}")
            return
        self._say(f"there is room for all workers: admitting job {self._name}")
        await self._pods.admit(self._name)

    async def _check_start(self, state: JobState, workers: Sequence[WorkerPod]) -> None:
        """Deal with pods that were not created, and with pods that get no node."""
        waited = self._clock() - (state.admitted or self._clock())
        missing = self._job.training.workers - len(self._seen)
        if missing and waited > CREATE_WITHIN:
            await self._check_missing(state, missing, waited)
        for worker in workers:
            if not worker.waits:
                continue
            self._say(f"worker {worker.rank} waits: {worker.waits}")
            if waited > self._schedule_within:
                raise self._never_started(f"worker {worker.rank} could not be started", worker.waits)

    async def _check_missing(self, state: JobState, missing: int, waited: timedelta) -> None:
        """Half of a job must not hold what others need: without room for the rest it waits again, suspended."""
        complaint = next(reversed(await self._pods.complaints(state.uid)), "nobody says why")
        count = f"{missing} of {self._job.training.workers} pods could not be created"
        if _QUOTA_EXCEEDED in complaint and not state.queue:
            self._log(f"{count}, so the job is suspended and waits again: {complaint}")
            self._ask_again = self._clock() + timedelta(seconds=random.uniform(*WAIT_AGAIN_SECONDS))  # noqa: S311 - no secret
            await self._pods.suspend(self._name)
        elif waited > self._schedule_within:
            raise self._never_started(count, complaint)
        else:
            self._say(f"{count}: {complaint}")

    def _never_started(self, what: str, reason: str) -> TrainingFailedError:
        return job_failure(self._job, f"{what} within {self._schedule_within.total_seconds():.0f} s: {reason}")

    async def _failure(self, state: JobState, logs: WorkerLogs) -> TrainingFailedError:
        chief = self._seen.get(0)
        if state.reason.startswith(_DEADLINE_EXCEEDED) and chief:
            return timeout_failure(self._job, await logs.tail(chief))
        removed = await self._pods.removed(state.uid)
        workers = list(self._seen.values())
        worker = culprit(workers, removed)
        if worker is None:
            return job_failure(self._job, f"it failed, and no worker says why: {state.reason}")
        return worker_failure(self._job, worker.rank, describe(worker, workers, removed), await logs.tail(worker))

    def _notice(self, workers: Sequence[WorkerPod]) -> None:
        """Keep how each worker was last seen; one that is seen no more was deleted."""
        now = {worker.rank: worker for worker in workers}
        for rank, worker in self._seen.items():
            if rank not in now and worker.ending is None:
                ending = Ending(kind=EndingKind.DELETED, how="was deleted", at=self._clock())
                self._seen[rank] = replace(worker, ending=ending)
        self._seen.update(now)

    async def _mark(self, logs: WorkerLogs) -> None:
        if self._clock() - self._marked >= MARK_EVERY:
            self._marked = self._clock()
            await self._pods.mark(self._name, logs.positions)

    def _say(self, text: str) -> None:
        """Log what is new; the same is not said twice in a row."""
        if text != self._said:
            self._said = text
            self._log(text)
