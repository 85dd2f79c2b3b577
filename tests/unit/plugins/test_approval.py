"""Waiting for a person: the task is deferred, the trigger finds the answer, and nobody waits for ever."""

import asyncio
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from builders import pipeline, verdict
from fakes_promotion import FakeRegistry
from headrace import bootstrap
from headrace.errors import UnavailableError
from headrace.usecases import approval
from headrace_airflow.approval import ApprovalTrigger, ApproveOperator

MODEL = "shoes"
ROOT = Path(__file__).parents[3]


class Installation:
    """One with a registry of one version, 1. Each of `before` comes to pass before a look; an error is what the look finds."""

    def __init__(self, *before):
        self.registry, self.before, self.looks = FakeRegistry(), list(before), 0
        self.registry.register(model=MODEL, model_uri="models:/m-1", run_id="run-1", description="", tags={})

    def ask_approval(self, model, version):
        approval.ask(self.registry, model, version)

    def expire_approval(self, model, version):
        approval.expire(self.registry, model, version)

    def find_answer(self, model, version):
        self.looks += 1
        happens = self.before.pop(0) if self.before else None
        if isinstance(happens, Exception):
            raise happens
        if happens:
            self.registry.set_tag(model, version, approval.APPROVAL_TAG, happens)
        return approval.find_answer(self.registry, model, version)

    @property
    def tag(self):
        return self.registry.version(MODEL, 1).tags.get(approval.APPROVAL_TAG)


@pytest.fixture
def install(monkeypatch):
    def install(*before):
        installation = Installation(*before)
        monkeypatch.setattr(bootstrap, "Platform", lambda: installation)
        return installation

    return install


def operator(found=None, within=timedelta(hours=2)):
    ensemble = {"name": MODEL, "model": MODEL, "approval": "manual", "approval_within": within}
    inputs = {"verdict": (found or verdict(1)).model_dump(mode="json")}
    return ApproveOperator(task_id="approve_first", spec=pipeline(ensemble=ensemble), inputs=inputs)


def fire(*, left=timedelta(hours=1), every=0.0):
    """The event of a trigger that has this much time left."""
    trigger = ApprovalTrigger(model=MODEL, version=1, until=(datetime.now(UTC) + left).isoformat(), every=every)

    async def collect():
        return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(collect())
    return payload


def test_a_candidate_is_shown_to_a_person_and_its_task_holds_no_worker_meanwhile(install):
    installation = install()
    with pytest.raises(TaskDeferred) as deferred:
        operator().execute({})
    assert installation.tag == "waiting"
    trigger = deferred.value.trigger
    assert (trigger.model, trigger.version, deferred.value.method_name) == (MODEL, 1, "execute_complete")
    left = datetime.fromisoformat(trigger.until) - datetime.now(UTC)
    assert timedelta(minutes=119) < left <= timedelta(hours=2)


def test_one_that_failed_its_gate_is_shown_to_nobody(install):
    installation = install()
    with pytest.raises(AirflowSkipException, match="failed its gate: floor"):
        operator(verdict(1, passed=False)).execute({})
    assert installation.tag is None


def test_an_approved_candidate_s_verdict_is_handed_on(install):
    install(None, None, "approved")
    assert operator().execute_complete({}, fire()) == verdict(1).model_dump(mode="json")


def test_a_rejected_candidate_skips_its_task_with_the_reason(install):
    install(None, "rejected")
    with pytest.raises(AirflowSkipException, match=r"not approved: the tag headrace\.approval of version 1 says `rejected`"):
        operator().execute_complete({}, fire())


def test_one_that_nobody_decided_on_in_time_is_left_out_and_the_registry_says_so(install):
    installation = install("waiting")
    event = fire(left=timedelta(0))
    assert (event, installation.looks) == ({"answer": None}, 1)
    with pytest.raises(AirflowSkipException, match="nobody has decided on version 1 within 2:00:00"):
        operator().execute_complete({}, event)
    assert installation.tag == "expired"


def test_an_answer_that_came_while_no_triggerer_ran_counts_although_the_time_is_over(install):
    install("approved")
    assert fire(left=timedelta(hours=-1))["answer"]["approved"] is True


def test_a_registry_that_is_away_is_said_once_and_asked_again(install, monkeypatch):
    said = []
    monkeypatch.setattr(ApprovalTrigger, "log", SimpleNamespace(warning=lambda text, *values: said.append(text % values)))
    away = UnavailableError("MLflow does not answer")
    install(away, away, None, away, "approved")
    assert fire()["answer"]["approved"] is True
    assert said == ["the answer cannot be looked for: MLflow does not answer"] * 2


def test_a_look_comes_every_so_often_and_not_sooner(install):
    installation = install(None, None, "approved")
    began = time.monotonic()
    fire(every=0.2)
    assert time.monotonic() - began >= 0.4
    assert installation.looks == 3


def test_the_trigger_is_made_anew_from_what_it_serialises():
    path, arguments = ApprovalTrigger(model=MODEL, version=7, until="2026-11-21T12:00:00+00:00", every=1.5).serialize()
    module, name = path.rsplit(".", 1)
    again = getattr(import_module(module), name)(**arguments)
    assert (again.model, again.version, again.until, again.every) == (MODEL, 7, "2026-11-21T12:00:00+00:00", 1.5)


LOOK = """
import sys
from headrace.bootstrap import Platform
from headrace.config import Settings
from headrace.errors import UnavailableError
import headrace_airflow.approval

try:
    Platform(Settings(tracking_url="http://127.0.0.1:9")).find_answer("shoes", 1)
except UnavailableError:
    print(sorted({"mlflow", "tensorflow", "kubernetes"} & set(sys.modules)))
"""


def test_looking_imports_no_client_library_of_mlflow():
    environment = os.environ | {"PYTHONPATH": str(ROOT / "plugins")}
    done = subprocess.run([sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
