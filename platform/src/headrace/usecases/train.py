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


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """Trains members: what it needs of the world.

    Attributes:
        environment: given to every worker, e.g. `MLFLOW_TRACKING_URI`.
    """

    tracking: Tracking
    registry: ModelRegistry
    launcher: TrainingLauncher
    store: ObjectStore
    locks: Locks
    environment: Mapping[str, str] = field(default_factory=dict)

    def train(self, job: TrainingJob, *, log: LogLine) -> Candidate:
        """Train the member, unless an earlier try has, and register what came out.

        A try never runs beside what is left of an earlier one: it waits until that has ended.

        Raises:
            TrainingFailedError: a worker ended badly or time ran out; the run is FAILED and keeps the reason.
        """
        with self.locks.hold(f"train/{_key(job)}"):
            result = self._earlier_result(job) or self._run_job(job, log)
            self.tracking.finish_run(result.run_id)
            return self._register(job, result)

    def _run_job(self, job: TrainingJob, log: LogLine) -> TrainingResult:
        run_id = self.tracking.open_run(experiment=job.pipeline, name=job.name, key=_key(job), tags=job.tags)
        try:
            self.launcher.run(job, environment={**self.environment, RUN_VARIABLE: run_id}, log=log)
            return self._result(job)
        except HeadraceError as error:
            self.tracking.fail_run(run_id, str(error))
            raise
        except (KeyboardInterrupt, SystemExit):
            self.tracking.fail_run(run_id, "stopped from outside before it ended; another try goes on from the last checkpoint")
            raise

    def _earlier_result(self, job: TrainingJob) -> TrainingResult | None:
        try:
            return self._read_result(job)
        except NotFoundError:
            return None

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


def _key(job: TrainingJob) -> str:
    return f"{job.pipeline}/{job.run}/{job.name}"


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
