"""Starting a job's pods: at most one job of a name, whatever happened to earlier tries."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.errors import NotFoundError
from headrace.ports.log import LogLine
from headrace.ports.worker_pods import JobPhase, WorkerPods
from headrace.render.job import JobTarget, job_name, render_job, render_service
from headrace.specs.training import TrainingJob


async def adopt(pods: WorkerPods, name: str, *, owner: str, log: LogLine) -> bool:
    """Deal with what an earlier try left: True when its job goes on and is the caller's now, else nothing is left of it.

    A job that failed is removed, so that a new one can take its name; so is one that is being deleted already.

    Args:
        pods: of the namespace.
        name: of the job.
        owner: see `WorkerPods.claim`.
        log: told what was found.
    """
    state = await pods.find(name)
    if state is None:
        return False
    if state.phase is not JobPhase.FAILED and not state.deleting:
        try:
            # Whoever followed it may delete it until this moment; after it, nobody but the caller.
            state = await pods.claim(name, owner=owner)
        except NotFoundError:
            return False
    if state.phase is JobPhase.FAILED or state.deleting:
        log(f"removing job {name} of an earlier try")
        await pods.delete(name)
        return False
    log(f"job {name} of an earlier try is {state.phase}: following it, not starting another")
    return True


async def launch(
    pods: WorkerPods, job: TrainingJob, target: JobTarget, *, environment: Mapping[str, str], owner: str, log: LogLine
) -> None:
    """Create the job, suspended, and its service; what of them is there already stays as it is.

    Args:
        pods: of the target's namespace.
        job: what to train.
        target: where.
        environment: of this try, e.g. `MLFLOW_RUN_ID`.
        owner: see `WorkerPods.claim`.
        log: told what was made.
    """
    manifest = render_job(job, target, environment=environment)
    if await pods.create(manifest, lambda uid: render_service(job, target, uid=uid), owner=owner):
        log(f"created job {job_name(job)} of {job.training.workers} worker(s) in namespace {target.namespace}, suspended")
