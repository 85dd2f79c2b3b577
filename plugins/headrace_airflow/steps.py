"""The operator that runs a step."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headrace_airflow.base import PipelineOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headrace.specs.pipeline import RunRequest
    from headrace.specs.step import Step

BuildStep = Callable[[str, "RunRequest", dict[str, Any]], "Step"]
"""Takes the run's name, what was asked for, and the resolved inputs."""


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
