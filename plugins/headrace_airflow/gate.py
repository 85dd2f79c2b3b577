"""The operator that decides whether a candidate may serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from headrace_airflow.base import PipelineOperator
from headrace_airflow.steps import runner_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headrace.specs.gate import Verdict


class GateOperator(PipelineOperator):
    """Measures a candidate, judges it, and returns the verdict, recorded on its version and run.

    A candidate that fails its gate fails nothing else: the task succeeds, says which checks do not hold, and the candidate is
    not chosen. Measuring runs where steps run, with access to the store alone; what it is measured against is decided before,
    and the verdict recorded after, beside the scheduler.

    `inputs` holds the `candidate` and the `dataset` version.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the `Verdict` as JSON-like data."""
        from headrace.bootstrap import Platform
        from headrace.specs.dataset import DatasetVersion
        from headrace.specs.gate import Evidence
        from headrace.specs.step import run_name
        from headrace.specs.training import Candidate

        candidate = Candidate.model_validate(self.inputs["candidate"])
        dataset = DatasetVersion.model_validate(self.inputs["dataset"])
        platform = Platform()
        step = platform.gatekeeper.prepare(self._spec, candidate, run=run_name(context["run_id"]), dataset=dataset)
        result = platform.run_step(step, steps=runner_of(step, platform, context), log=self.log.info)
        verdict = platform.gatekeeper.conclude(step, Evidence.model_validate_json(result), run_id=candidate.run_id)
        self._tell(verdict)
        return verdict.model_dump(mode="json")

    def _tell(self, verdict: Verdict) -> None:
        from headrace.usecases.gate.verdict_log import log_lines

        for line, holds in log_lines(verdict):
            (self.log.info if holds else self.log.warning)(line)


def passed_or_skip(verdict: Any) -> Verdict:
    """The verdict of a candidate that passed its gate.

    Raises:
        AirflowSkipException: it did not.
    """
    from headrace.specs.gate import Verdict

    found = Verdict.model_validate(verdict)
    if not found.passed:
        raise AirflowSkipException(f"it failed its gate: {', '.join(check.name for check in found.failed)}")
    return found
