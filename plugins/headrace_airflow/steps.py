"""Operators of the steps: they build a step's spec, choose what runs it, and pass on the result."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from headrace_airflow.base import PipelineOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headrace.bootstrap import Platform
    from headrace.ports.steps import StepRunner
    from headrace.specs.step import Step


class StepOperator(PipelineOperator):
    """Runs one step (`headrace.specs.step`) and returns its result. Which one, its subclasses say."""

    @abstractmethod
    def step(self, context: Context) -> Step:
        """The step's spec; may skip or fail the task by Airflow's own exceptions."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the step's result as JSON-like data."""
        from headrace.bootstrap import Platform

        step = self.step(context)
        platform = Platform()
        result = platform.run_step(step, steps=runner_of(step, platform, context), log=self.log.info)
        found: dict[str, Any] = json.loads(result)
        return found


class MaterialiseOperator(PipelineOperator):
    """Ingests the pipeline's dataset unless a fresh version exists, and returns the version, whether it was cached, and why.

    It waits for its pod itself rather than being deferred: the lock that it holds meanwhile is its database connection's. That
    costs a worker slot for the minute an ingestion takes, once a dataset, and saves the triggerer's delay.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Return `Materialised` as JSON-like data."""
        from headrace.bootstrap import Platform
        from headrace.specs.step import IngestStep, run_name

        step = IngestStep(pipeline=self._spec, run=run_name(context["run_id"]))
        # The start of the run, not of the try: a retry uses what an earlier try made. A run cleared as a whole starts anew.
        newer_than = context["dag_run"].start_date if self.request(context).force_refresh else None
        platform = Platform()
        steps = runner_of(step, platform, context)
        return platform.materialise(step, steps=steps, log=self.log.info, newer_than=newer_than).model_dump(mode="json")


def runner_of(step: Step, platform: Platform, context: Context) -> StepRunner:
    """What runs the step: a pod where the installation has pods and the step belongs into one, a local process otherwise."""
    from headrace.config import Backend
    from headrace.specs.step import Placement

    if platform.settings.backend is Backend.KUBERNETES and step.placement is Placement.POD:
        from headrace_airflow.pods.step import PodStepRunner  # imports the Kubernetes provider: 2.5 s

        return PodStepRunner(platform.settings, context)
    return platform.steps
