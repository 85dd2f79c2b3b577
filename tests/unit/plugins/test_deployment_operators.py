"""The tasks that change what serves: who asked for it is the person behind the run."""

from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTerminated

from deployment_installation import Installation
from deployment_world import MODEL, World
from headrace import bootstrap
from headrace.errors import UnavailableError
from headrace.specs.deployment import Deployment
from headrace_airflow.deployment import ReconcileOperator, RollbackOperator


@pytest.fixture
def world(monkeypatch):
    world = World()
    monkeypatch.setattr(bootstrap, "Platform", lambda: Installation(world))
    return world


def context(user=None, **params):
    return {"dag_run": SimpleNamespace(triggering_user_name=user), "params": params}


def roll_back(user="ada", *, revision=None, why="worse"):
    operator = RollbackOperator(task_id="rollback")
    return Deployment.model_validate(operator.execute(context(user, ensemble=MODEL, revision=revision, why=why)))


def test_a_moved_alias_serves_after_a_run(world):
    world.registry.set_alias(MODEL, "slot-1", world.register("first"))
    (passed,) = ReconcileOperator(task_id="reconcile").execute(context())
    assert (passed["ensemble"], passed["revision"]) == (MODEL, 1)
    assert world.live_versions == {"slot-1": 1}
    assert world.history.deployment(MODEL, 1).request.why == "the aliases were moved (seen by airflow)"
    assert ReconcileOperator(task_id="reconcile").execute(context())[0]["done"] == []


def test_the_user_who_triggered_the_run_is_who_reconciled(world):
    world.registry.set_alias(MODEL, "slot-1", world.register("first"))
    ReconcileOperator(task_id="reconcile").execute(context("ada"))
    assert world.history.deployment(MODEL, 1).request.why == "the aliases were moved (seen by ada)"


def test_a_refused_desire_fails_the_task_and_the_former_graph_stays(world):
    world.deploy(world.register("first"))
    world.serving.refuses.add(f"{MODEL}-preview")
    world.registry.set_alias(MODEL, "slot-1", world.register("second"))
    with pytest.raises(AirflowFailException, match="did not become ready"):  # which Airflow never tries again
        ReconcileOperator(task_id="reconcile").execute(context())
    assert (world.live_versions, world.aliases) == ({"slot-1": 1}, {"slot-1": 1})


def test_a_service_that_is_away_leaves_the_task_to_be_tried_again(world, monkeypatch):
    def away(model):
        raise UnavailableError("MLflow does not answer")

    monkeypatch.setattr(world.registry, "aliases", away)
    with pytest.raises(UnavailableError):
        ReconcileOperator(task_id="reconcile").execute(context())


def test_the_user_who_triggered_a_rollback_stands_in_the_history(world):
    for name in ("first", "second"):
        world.deploy(world.register(name))
    deployment = roll_back("ada", why="  answers  Shirt for everything ")
    assert (deployment.revision, deployment.request.who) == (3, "ada")
    assert deployment.request.why == "back to revision 1: answers  Shirt for everything"
    assert world.live_versions == {"slot-1": 1}


def test_a_rollback_goes_to_the_revision_named(world):
    for name in ("first", "second", "third"):
        world.deploy(world.register(name))
    assert roll_back(revision=1).request.versions == (1,)
    assert world.live_versions == {"slot-1": 1}


@pytest.mark.parametrize("operator", [ReconcileOperator, RollbackOperator])
def test_a_stopped_task_unwinds_so_that_no_preview_is_left(operator):
    with pytest.raises(AirflowTaskTerminated):
        operator(task_id="task").on_kill()
