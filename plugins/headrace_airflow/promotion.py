"""The operators by which candidates come to serve: one by one while nothing else does, and all together by the final choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from headrace_airflow.base import who_triggered
from headrace_airflow.gate import passed_or_skip
from headrace_airflow.steps import StepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headrace.specs.gate import Verdict
    from headrace.specs.step import JoinStep, PromoteStep


class JoinOperator(StepOperator):
    """Lets a candidate serve before the final choice, if it may; skipped with the reason when it has to wait for that.

    `inputs` holds the `candidate`, and the `verdict` of its gate once all who had to admit it have.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the `JoinResult` as JSON-like data."""
        result = super().execute(context)
        if result["revision"] is None:
            raise AirflowSkipException(f"it does not join: {result['reason']}")
        self.log.info("it serves in revision %d: %s", result["revision"], result["reason"])
        return result

    def step(self, context: Context) -> JoinStep:
        """The join step."""
        from headrace.specs.step import JoinStep
        from headrace.specs.training import Candidate

        return JoinStep(
            pipeline=self._spec,
            run=self.run_of(context),
            verdict=passed_or_skip(self.inputs["verdict"]),
            candidate=Candidate.model_validate(self.inputs["candidate"]),
            size=self.request(context).ensemble_size,
            who=who_triggered(context),
        )


class PromoteOperator(StepOperator):
    """Chooses among the candidates that were admitted, and returns what serves.

    Who was not admitted holds nobody back. When too few were, what serves stays: the task is skipped if a gate or a person
    refused the others, and fails if something else kept them from being judged.

    `inputs` holds by member its `candidates`, its gate's `verdicts`, and its `admissions`: the verdicts once more, of those whom
    a person approved where one is asked; and the `dataset` version. Where a task had no result there is None.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the `PromoteResult` as JSON-like data. The task does not wait for a canary: the DAG `reconcile` looks at it."""
        result = super().execute(context)
        if result.get("on_trial"):
            self.log.info("revision %d is a canary first: `headrace serving` shows it", result["revision"])
        return result

    def step(self, context: Context) -> PromoteStep:
        """The promote step."""
        from headrace.specs.dataset import DatasetVersion
        from headrace.specs.gate import Verdict
        from headrace.specs.step import PromoteStep
        from headrace.specs.training import Candidate

        request = self.request(context)
        verdicts, admissions = (_present(self.inputs[key], Verdict) for key in ("verdicts", "admissions"))
        admitted = {member: verdict for member, verdict in admissions.items() if verdict.passed}
        if len(admitted) < min(self._spec.ensemble.minimum, request.ensemble_size):
            refuse(request.members, verdicts, admitted)
        candidates = _present(self.inputs["candidates"], Candidate)
        return PromoteStep(
            pipeline=self._spec,
            run=self.run_of(context),
            candidates=tuple(candidates[member] for member in admitted),
            verdicts=tuple(admitted.values()),
            dataset=DatasetVersion.model_validate(self.inputs["dataset"]),
            size=request.ensemble_size,
            who=who_triggered(context),
        )


def refuse(members: tuple[str, ...], verdicts: Mapping[str, Verdict], admitted: Mapping[str, Verdict]) -> None:
    """Say why there are too few to choose from.

    Args:
        members: that the run was to train.
        verdicts: of those that were judged.
        admitted: of those that may be chosen.

    Raises:
        AirflowSkipException: all were judged, and gates or persons refused them.
        AirflowFailException: some were not.
    """
    unjudged = [member for member in members if member not in verdicts]
    reasons = [f"{member} has no verdict, see its tasks" for member in unjudged]
    for member, verdict in verdicts.items():
        if not verdict.passed:
            reasons.append(f"{member} failed its gate ({', '.join(check.name for check in verdict.failed)})")
        elif member not in admitted:
            reasons.append(f"{member} was not approved")
    what = f"{len(admitted)} candidate(s) to choose from are too few, what serves stays: {'; '.join(reasons)}"
    raise AirflowFailException(what) if unjudged else AirflowSkipException(what)


def _present[S](found: Mapping[str, Any], spec: type[S]) -> dict[str, S]:
    return {member: spec.model_validate(value) for member, value in found.items() if value}  # type: ignore[attr-defined]
