"""The operator that trains a member."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTerminated, TaskDeferralError, TaskDeferralTimeout

from headrace_airflow.base import PipelineOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headrace.bootstrap import Platform
    from headrace.errors import HeadraceError
    from headrace.specs.training import TrainingJob


class TrainingJobOperator(PipelineOperator):
    """Trains one member with all its workers, and returns the registered candidate; skipped when the run leaves it out.

    On one machine the task holds its worker slot until the workers have ended. On a cluster it creates a suspended Job and is
    deferred: a trigger admits the Job, follows it, and passes its workers' output on to the task's log.

    Args:
        member: its name in the pipeline's spec. `inputs` holds the `dataset` version.
    """

    def __init__(self, *, member: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.member = member

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the candidate as JSON-like data, or be deferred until its Job has ended."""
        from headrace.bootstrap import Platform
        from headrace.config import Backend

        job = self._job(context)
        platform = Platform()
        if platform.settings.backend is Backend.LOCAL:
            return platform.train(job, log=self.log.info).model_dump(mode="json")
        finished = platform.training_records.finished(job)
        if finished:
            return finished.model_dump(mode="json")
        return self._launch(platform, job, context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the candidate of a Job that has ended well; fail the task and its run with the reason of one that has not."""
        from headrace.bootstrap import Platform
        from headrace.errors import HeadraceError
        from headrace_airflow.pods.outcome import read_outcome

        job = self._job(context)
        platform = Platform()
        try:
            read_outcome(event)
            return platform.training_records.complete(job).model_dump(mode="json")
        except HeadraceError as error:
            self._give_up(platform, job, error)
            raise

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Take the Job away, too, when its trigger could not be run, or the task's own time-out ended it."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralError, TaskDeferralTimeout) as error:
            from headrace.bootstrap import Platform
            from headrace.errors import TrainingFailedError

            self._give_up(Platform(), self._job(context), TrainingFailedError(f"the trigger ended without an outcome: {error}"))
            raise

    def _job(self, context: Context) -> TrainingJob:
        """The member's job, the same in every process that a try of the task passes through."""
        from headrace.specs.dataset import DatasetVersion
        from headrace.specs.step import run_name

        request = self.request(context)
        if self.member not in request.members:
            raise AirflowSkipException(f"this run trains only {', '.join(request.members)}")
        dataset = DatasetVersion.model_validate(self.inputs["dataset"])
        return request.job(self._spec, self.member, run=run_name(context["run_id"]), dataset=dataset)

    def _launch(self, platform: Platform, job: TrainingJob, context: Context) -> NoReturn:
        """See to the Job and be deferred; a task that is stopped before, or cannot, leaves no run that seems to go on."""
        from headrace.errors import HeadraceError, TrainingFailedError
        from headrace.usecases.train import STOPPED
        from headrace_airflow.pods.training_job import TrainingJobPods  # imports the Kubernetes provider: 2.5 s

        pods = TrainingJobPods(job=job, platform=platform, context=context)
        try:
            pods.launch()
        except AirflowTaskTerminated:
            self._give_up(platform, job, TrainingFailedError(STOPPED))
            raise
        except HeadraceError as error:
            self._give_up(platform, job, error)
            raise
        pods.execute_deferrable()

    def _give_up(self, platform: Platform, job: TrainingJob, error: HeadraceError) -> None:
        """Say in the run why it failed, and leave nothing of the Job, unless it may well be running on."""
        from headrace.errors import UnavailableError

        platform.training_records.fail(job, str(error))
        if not isinstance(error, UnavailableError):
            asyncio.run(platform.remove_training(job))
