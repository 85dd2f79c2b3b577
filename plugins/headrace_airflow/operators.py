"""Operators: thin edges that build a spec from the run's parameters, call the platform, and pass on the result."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTerminated

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headrace.specs.pipeline import PipelineSpec, RunRequest
    from headrace.specs.step import Step

BuildStep = Callable[[str, "RunRequest", dict[str, Any]], "Step"]
"""Takes the run's name, what was asked for, and the resolved inputs."""


class PipelineOperator(BaseOperator):
    """What the platform's operators share: the pipeline's spec, the run's request, and dying when told to.

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


class StepOperator(PipelineOperator):
    """Runs one step (`headrace.specs.step`) and returns its result.

    Args:
        build: makes the step's spec.
    """

    def __init__(self, *, build: BuildStep, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._build = build

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the step's result as JSON-like data."""
        from headrace.bootstrap import Platform
        from headrace.specs.step import run_name

        step = self._build(run_name(context["run_id"]), self.request(context), self.inputs)
        result: dict[str, Any] = json.loads(Platform().run_step(step, log=self.log.info))
        return result


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
