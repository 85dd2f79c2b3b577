"""What the platform's operators share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowTaskTerminated

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headrace.specs.pipeline import PipelineSpec, RunRequest


class PipelineOperator(BaseOperator):
    """A thin edge: builds a spec from the run's parameters, calls the platform, passes on the result, and dies when told to.

    Args:
        spec: the pipeline's.
        inputs: results of other tasks, resolved before execution.
    """

    template_fields = ("inputs",)

    def __init__(self, *, spec: PipelineSpec, inputs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._spec = spec
        self.inputs = inputs or {}

    def request(self, context: Context) -> RunRequest:
        """What this run was asked for, checked."""
        from headrace.specs.pipeline import RunRequest

        return RunRequest.parse(self._spec, dict(context["params"]))

    def on_kill(self) -> None:
        """Unwind the running call, so that it ends its processes and says so where it keeps its records."""
        raise AirflowTaskTerminated("the task was stopped")
