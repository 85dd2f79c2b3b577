"""The gate's task: what it hands on, and that a candidate that fails it fails nothing else."""

from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException

import headrace.bootstrap
from builders import candidate, dataset_version, pipeline, verdict
from fakes import FakeSteps, FakeStore
from gate_evidence import evidence
from headrace.specs.gate import Verdict
from headrace.specs.step import EvaluateStep
from headrace_airflow.gate import GateOperator, passed_or_skip


class FakePlatform:
    """An installation whose gatekeeper lets pass, or not."""

    def __init__(self, passes):
        self.store = FakeStore()
        self.settings = SimpleNamespace(backend="local")
        self.steps = FakeSteps(self.store, lambda step: evidence(version=step.version))
        self.gatekeeper = self
        self._passes = passes
        self.concluded = []

    def prepare(self, spec, found, *, run, dataset):
        return EvaluateStep(
            pipeline=spec, run=run, member=found.member, model=found.model, version=found.version, champion=None, dataset=dataset
        )

    def run_step(self, step, *, steps, log):
        steps.run(step, log=log)
        return self.store.get_bytes(step.result_key)

    def conclude(self, step, found, *, run_id):
        self.concluded.append((step.version, found.version, run_id))
        return verdict(step.version, passed=self._passes)


@pytest.fixture
def execute(monkeypatch, caplog):
    """Runs the task's operator on an installation."""

    def run(platform):
        monkeypatch.setattr(headrace.bootstrap, "Platform", lambda: platform)
        inputs = {
            "candidate": candidate("first", 4).model_dump(mode="json"),
            "dataset": dataset_version().model_dump(mode="json"),
        }
        operator = GateOperator(task_id="gate_first", spec=pipeline(), inputs=inputs)
        with caplog.at_level("INFO"):
            return operator.execute({"run_id": "manual__1", "params": {}})

    return run


def test_a_verdict_is_made_of_what_the_step_measured_and_handed_on(execute):
    platform = FakePlatform(passes=True)
    assert Verdict.model_validate(execute(platform)) == verdict(4)
    assert platform.concluded == [(4, 4, "run-first")]
    assert platform.steps.started == ["manual__1"]


def test_a_candidate_that_fails_fails_nothing_else(execute):
    assert Verdict.model_validate(execute(FakePlatform(passes=False))).passed is False


def test_who_passed_goes_on_and_who_did_not_is_skipped_with_the_checks():
    assert passed_or_skip(verdict(1).model_dump(mode="json")) == verdict(1)
    with pytest.raises(AirflowSkipException, match="failed its gate: floor"):
        passed_or_skip(verdict(1, passed=False).model_dump(mode="json"))
