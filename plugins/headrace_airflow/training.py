"""The operator that trains a member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from headrace_airflow.base import PipelineOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class TrainingJobOperator(PipelineOperator):
    """Trains one member with all its workers, and returns the registered candidate; skipped when the run leaves it out.

    Args:
        member: its name in the pipeline's spec. `inputs` holds the `dataset` version.
    """

    def __init__(self, *, member: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.member = member

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the candidate as JSON-like data."""
        from headrace.bootstrap import Platform
        from headrace.specs.dataset import DatasetVersion
        from headrace.specs.step import run_name

        request = self.request(context)
        if self.member not in request.members:
            raise AirflowSkipException(f"this run trains only {', '.join(request.members)}")
        dataset = DatasetVersion.model_validate(self.inputs["dataset"])
        job = request.job(self._spec, self.member, run=run_name(context["run_id"]), dataset=dataset)
        return Platform().train(job, log=self.log.info).model_dump(mode="json")
