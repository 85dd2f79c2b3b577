"""Starting a job's pods, and taking them away: at most one job of a name, whatever happened to earlier tries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from headrace.errors import NotFoundError, UnavailableError
from headrace.ports.log import LogLine
from headrace.ports.tracking import RunEnding
from headrace.ports.worker_pods import JobPhase, Manifest, WorkerPods
from headrace.render.job import job_name
from headrace.specs.training import RUN_VARIABLE, TrainingJob
from headrace.usecases.train import STOPPED, TrainingRecords


async def launch(
    pods: WorkerPods,
    job: TrainingJob,
    *,
    records: TrainingRecords,
    render: Callable[[Mapping[str, str]], Manifest],
    service: Callable[[str], Manifest],
    owner: str,
    log: LogLine,
) -> str:
    """See to it that the job exists, once, in a run of its own, suspended until its follower admits it. Returns the run's id.

    What an earlier try left goes on if it can, and is the caller's from now on. A job that has failed is removed first; its
    successor resumes from the last checkpoint, in the same run. Every part can be repeated, so a caller may die at any point.

    Args:
        pods: of the namespace.
        job: what to train.
        records: where its run is opened.
        render: its manifest, from the variables of this try.
        service: its service's manifest, from the job's uid.
        owner: see `WorkerPods.claim`.
        log: told what was found and made.
    """
    name = job_name(job)
    await _make_way(pods, name, owner, log)
    run_id = await asyncio.to_thread(records.begin, job)
    if await pods.create(render({RUN_VARIABLE: run_id}), service, owner=owner):
        log(f"created job {name} of {job.training.workers} worker(s), suspended; its run is {run_id}")
    return run_id


async def stop(pods: WorkerPods, job: TrainingJob, *, run_id: str, runs: RunEnding, owner: str, log: LogLine) -> None:
    """Take away a job that a person ended, and say so in its run. A job that a later try has taken over is left alone.

    Args:
        pods: of the namespace.
        job: what was trained.
        run_id: the job's run.
        runs: where it is ended.
        owner: who followed the job.
        log: told what was done.
    """
    name = job_name(job)
    state = await pods.find(name)
    if state is None or state.owner != owner:
        return
    try:
        # Before the job goes: a later try opens the run anew, and waits for that.
        await runs.fail_run(run_id, STOPPED)
    except UnavailableError as error:
        log(str(error))
    if await pods.delete(name, owner=owner):
        log(f"deleted job {name} with its pods")


async def _make_way(pods: WorkerPods, name: str, owner: str, log: LogLine) -> None:
    """Claim a job that goes on, remove one that failed or is being deleted."""
    try:
        # Whoever followed it may delete it until this moment; after it, nobody but the caller.
        state = await pods.claim(name, owner=owner)
    except NotFoundError:
        return
    if state.phase is JobPhase.FAILED or state.deleting:
        log(f"removing job {name} of an earlier try")
        await pods.delete(name)
    else:
        log(f"job {name} of an earlier try is {state.phase}: following it, not starting another")
