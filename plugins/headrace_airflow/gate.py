"""The operator that decides whether a candidate may serve, and who goes on to be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from headrace_airflow.base import PipelineOperator
from headrace_airflow.steps import runner_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headrace.specs.gate import Verdict
    from headrace.specs.training import Candidate


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


def admitted(candidates: Sequence[Any], verdicts: Sequence[Any]) -> tuple[Candidate, ...]:
    """The candidates whose gate let them pass. Where a task had no result, because it failed or was left out, there is None.

    Raises:
        AirflowSkipException: there is none; what serves goes on serving.
    """
    from headrace.specs.gate import Verdict
    from headrace.specs.training import Candidate

    known = [Verdict.model_validate(verdict) for verdict in verdicts if verdict]
    passed = {(verdict.model, verdict.version) for verdict in known if verdict.passed}
    found = [Candidate.model_validate(candidate) for candidate in candidates if candidate]
    if not passed:
        reasons = [f"version {each.version} ({', '.join(check.name for check in each.failed)})" for each in known]
        raise AirflowSkipException(f"no candidate passed its gate, what serves stays; failed: {'; '.join(reasons) or 'nobody'}")
    return tuple(candidate for candidate in found if (candidate.model, candidate.version) in passed)
