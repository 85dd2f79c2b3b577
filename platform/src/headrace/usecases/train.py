"""Training one member: one job, one run, one candidate, however often it is tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.errors import HeadraceError, NotFoundError, TrainingFailedError
from headrace.ports.launcher import TrainingLauncher
from headrace.ports.locks import Locks
from headrace.ports.log import LogLine
from headrace.ports.registry import ModelRegistry
from headrace.ports.store import ObjectStore
from headrace.ports.tracking import Tracking
from headrace.specs.training import RUN_VARIABLE, Candidate, TrainingJob, TrainingResult

STOPPED = "stopped from outside before it ended; another try goes on from the last checkpoint"
"""The reason a run keeps when a person, not its workers, ended it."""


@dataclass(frozen=True, kw_only=True)
class TrainingRecords:
    """What is kept of a job beside its workers: its run, its result, the version it becomes.

    A job that is tried within one call uses them through `Trainer`. On a cluster a task begins, waits without a process of its
    own, and ends in another: it uses them one by one, and each can be repeated.
    """

    tracking: Tracking
    registry: ModelRegistry
    store: ObjectStore

    def finished(self, job: TrainingJob) -> Candidate | None:
        """The candidate, if an earlier try left a result; its run is FINISHED then, whatever became of that try."""
        try:
            result = self._read_result(job)
        except NotFoundError:
            return None
        return self._accept(job, result)

    def begin(self, job: TrainingJob) -> str:
        """Open the job's run, the same for every try, and return its id."""
        return self.tracking.open_run(experiment=job.pipeline, name=job.name, key=job.key, tags=job.tags)

    def complete(self, job: TrainingJob) -> Candidate:
        """Take the result that the workers left, finish the run, and register the candidate.

        Raises:
            TrainingFailedError: they left none.
        """
        return self._accept(job, self._result(job))

    def fail(self, job: TrainingJob, reason: str) -> None:
        """End the job's run as FAILED and keep the reason there. Another try opens it again."""
        self.tracking.fail_run(self.begin(job), reason)

    def _accept(self, job: TrainingJob, result: TrainingResult) -> Candidate:
        self.tracking.finish_run(result.run_id)
        return self._register(job, result)

    def _result(self, job: TrainingJob) -> TrainingResult:
        try:
            return self._read_result(job)
        except NotFoundError as error:
            raise TrainingFailedError(
                "all workers ended well, but the chief left no result",
                where=job.result_key,
                remedy="Do workers and platform use the same store?",
            ) from error

    def _read_result(self, job: TrainingJob) -> TrainingResult:
        return TrainingResult.model_validate_json(self.store.get_bytes(job.result_key))

    def _register(self, job: TrainingJob, result: TrainingResult) -> Candidate:
        version = self.registry.register(
            model=job.model,
            model_uri=result.model_uri,
            run_id=result.run_id,
            description=_version_description(job, result),
            tags=_version_tags(job, result),
        )
        return Candidate(member=job.name, model=job.model, version=version.version, run_id=result.run_id, metrics=result.metrics)


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """Trains members within one call, by a launcher whose workers end with it.

    Attributes:
        environment: given to every worker, e.g. `MLFLOW_TRACKING_URI`.
    """

    records: TrainingRecords
    launcher: TrainingLauncher
    locks: Locks
    environment: Mapping[str, str] = field(default_factory=dict)

    def train(self, job: TrainingJob, *, log: LogLine) -> Candidate:
        """Train the member, unless an earlier try has, and register what came out.

        A try never runs beside what is left of an earlier one: it waits until that has ended. The lock sees to it, as the
        job's name does on a cluster, where no process holds one as long as the workers run.

        Raises:
            TrainingFailedError: a worker ended badly or time ran out; the run is FAILED and keeps the reason.
        """
        with self.locks.hold(f"train/{job.key}"):
            return self.records.finished(job) or self._run(job, log)

    def _run(self, job: TrainingJob, log: LogLine) -> Candidate:
        run_id = self.records.begin(job)
        try:
            self.launcher.run(job, environment={**self.environment, RUN_VARIABLE: run_id}, log=log)
            return self.records.complete(job)
        except HeadraceError as error:
            self.records.fail(job, str(error))
            raise
        except (KeyboardInterrupt, SystemExit):
            self.records.fail(job, STOPPED)
            raise


def _version_tags(job: TrainingJob, result: TrainingResult) -> dict[str, str]:
    metrics = {name: f"{result.metrics[name]:.4f}" for name in ("validation_accuracy", "validation_loss")}
    return {**job.tags, **metrics}


def _version_description(job: TrainingJob, result: TrainingResult) -> str:
    metrics = result.metrics
    return (
        f"**{job.name}**: {job.member.description}\n\nTrained on version `{job.dataset.version}` of dataset "
        f"`{job.dataset.dataset}` for {result.epochs} epochs by {job.training.workers} worker(s); validation accuracy "
        f"{metrics['validation_accuracy']:.4f}, test accuracy {metrics['test_accuracy']:.4f} (reported only)."
    )
