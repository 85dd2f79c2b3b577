"""What the platform's operators share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowTaskTerminated

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headrace.specs.pipeline import PipelineSpec, RunRequest


NOBODY = "airflow"
"""Who asks for what a schedule or an event started."""


def who_triggered(context: Context) -> str:
    """The Airflow user who triggered the run; Airflow itself for a run that nobody did."""
    return context["dag_run"].triggering_user_name or NOBODY


class PlatformOperator(BaseOperator):
    """A thin edge: calls the platform, passes on the result, and dies when told to."""

    def on_kill(self) -> None:
        """Unwind the running call, so that it ends its processes and says so where it keeps its records."""
        raise AirflowTaskTerminated("the task was stopped")


class PipelineOperator(PlatformOperator):
    """Builds a spec from a pipeline's and the run's parameters.

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

    def run_of(self, context: Context) -> str:
        """The run's name, as a part of a key."""
        from headrace.specs.step import run_name

        return run_name(context["run_id"])
