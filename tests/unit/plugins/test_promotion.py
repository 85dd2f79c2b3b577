"""The tasks by which candidates come to serve: who joins, who is chosen from, and what is said when too few are left."""

from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from builders import candidate, dataset_version, pipeline, verdict
from fakes import FakeSteps, FakeStore
from headrace import bootstrap
from headrace.specs.step import JoinResult
from headrace_airflow.promotion import JoinOperator, PromoteOperator

MEMBERS = ("first", "second", "third")


class Installation:
    """One that runs steps and remembers them; a candidate joins as `joins` says."""

    def __init__(self, joins):
        self.store, self.settings, self.done = FakeStore(), SimpleNamespace(backend="local"), []
        self.steps = FakeSteps(self.store, self._perform)
        self._joins = joins

    def _perform(self, step):
        self.done.append(step)
        return self._joins

    def run_step(self, step, *, steps, log):
        steps.run(step, log=log)
        return self.store.get_bytes(step.result_key)


@pytest.fixture
def installation(monkeypatch):
    installation = Installation(JoinResult(revision=3, reason="nothing else serves"))
    monkeypatch.setattr(bootstrap, "Platform", lambda: installation)
    return installation


def context(**params):
    asked = {"epochs": 1, "workers": 1, "members": list(MEMBERS), "ensemble_size": 2, **params}
    return {"run_id": "manual__1", "params": asked, "dag_run": SimpleNamespace(triggering_user_name="ada")}


def data(spec):
    return spec and spec.model_dump(mode="json")


def join(found, **options):
    inputs = {"candidate": data(candidate("first", 4)), "verdict": data(found)}
    return JoinOperator(task_id="join_first", spec=pipeline(**options), inputs=inputs).execute(context())


def promote(verdicts, *, admissions=None, minimum=2, **params):
    """Run the final choice with the members' verdicts, in order; None where a task had no result."""
    known = dict(zip(MEMBERS, verdicts, strict=True))
    admitted = known if admissions is None else dict(zip(MEMBERS, admissions, strict=True))
    operator = PromoteOperator(
        task_id="promote",
        spec=pipeline(ensemble={"name": "shoes", "model": "shoes", "minimum": minimum}),
        inputs={
            "candidates": {member: found and data(candidate(member, found.version)) for member, found in known.items()},
            "verdicts": {member: data(found) for member, found in known.items()},
            "admissions": {member: data(found) for member, found in admitted.items()},
            "dataset": data(dataset_version()),
        },
    )
    operator.execute(context(**params))


def test_a_candidate_that_passed_joins_in_the_name_of_whoever_triggered_the_run(installation):
    assert join(verdict(4)) == {"revision": 3, "reason": "nothing else serves"}
    (step,) = installation.done
    assert (step.candidate.version, step.verdict, step.size, step.who, step.run) == (4, verdict(4), 2, "ada", "manual__1")


def test_one_that_may_not_join_skips_its_task_with_the_reason(installation):
    installation._joins = JoinResult(revision=None, reason="revision 2 serves until the final choice")
    with pytest.raises(AirflowSkipException, match="does not join: revision 2 serves until the final choice"):
        join(verdict(4))


def test_one_that_failed_its_gate_is_not_even_asked_for(installation):
    with pytest.raises(AirflowSkipException, match="failed its gate: floor"):
        join(verdict(4, passed=False))
    assert installation.done == []


def test_only_who_was_admitted_is_chosen_from(installation):
    promote([verdict(1), verdict(2, passed=False), verdict(3)])
    (step,) = installation.done
    assert [each.version for each in step.candidates] == [1, 3]
    assert step.verdicts == (verdict(1), verdict(3))
    assert (step.size, step.who, step.dataset) == (2, "ada", dataset_version())


def test_a_member_that_failed_or_never_came_holds_nobody_back(installation):
    promote([verdict(1), None, verdict(3)])
    assert [each.member for each in installation.done[0].candidates] == ["first", "third"]


def test_who_was_not_approved_is_not_chosen(installation):
    promote([verdict(1), verdict(2), verdict(3)], admissions=[verdict(1), None, verdict(3)])
    assert [each.version for each in installation.done[0].candidates] == [1, 3]


def test_when_gates_and_persons_leave_too_few_what_serves_stays_and_the_reason_is_said(installation):
    with pytest.raises(AirflowSkipException) as skipped:
        promote([verdict(1), verdict(2, passed=False), verdict(3)], admissions=[verdict(1), verdict(2, passed=False), None])
    assert str(skipped.value) == (
        "1 candidate(s) to choose from are too few, what serves stays: second failed its gate (floor); third was not approved"
    )
    assert installation.done == []


def test_when_something_else_leaves_too_few_the_run_has_failed(installation):
    with pytest.raises(AirflowFailException, match="second has no verdict, see its tasks; third failed its gate"):
        promote([verdict(1), None, verdict(3, passed=False)])
    with pytest.raises(AirflowFailException, match="0 candidate"):
        promote([None, None, None], minimum=1)
    assert installation.done == []


def test_a_run_that_asks_for_less_gets_it(installation):
    promote([verdict(1), None, None], members=["first"], ensemble_size=1)
    assert [each.version for each in installation.done[0].candidates] == [1]


def test_members_that_the_run_left_out_are_missed_by_nobody(installation):
    with pytest.raises(AirflowSkipException, match="too few, what serves stays: first failed its gate"):
        promote([verdict(1, passed=False), None, None], members=["first"], ensemble_size=1)
