"""The DAGs that change what serves besides a pipeline's run, as Airflow sees them."""

import jsonschema
import pytest


def test_reconciling_is_one_task_that_waits_for_a_service_that_is_away(bag):
    (task,) = bag["dags"]["reconcile"]["tasks"].items()
    assert (task[0], task[1]["type"], task[1]["retries"]) == ("reconcile", "ReconcileOperator", 2)


def test_reconciling_starts_when_the_registry_says_so_and_every_five_minutes(bag):
    dag = bag["dags"]["reconcile"]
    assert dag["timetable"] == "Asset or */5 * * * *"
    assert dag["watchers"] == [
        {
            "asset": "headrace://registry/aliases",
            "trigger": "headrace_airflow.registry_watch.RegistryTrigger",
            "known": True,
        }
    ]


def test_what_comes_while_a_run_reconciles_makes_one_run_afterwards(bag):
    dag = bag["dags"]["reconcile"]
    assert (dag["max_active_runs"], dag["catchup"]) == (1, False)


def test_a_rollback_is_one_task_started_by_hand_alone(bag):
    dag = bag["dags"]["rollback"]
    (task,) = dag["tasks"].items()
    assert (task[0], task[1]["type"], task[1]["retries"]) == ("rollback", "RollbackOperator", 0)
    assert (dag["timetable"], dag["watchers"]) == ("None", [])


def test_the_form_of_a_rollback_asks_for_ensemble_revision_and_why(bag):
    params = bag["dags"]["rollback"]["params"]
    assert list(params) == ["ensemble", "revision", "why"]
    assert [name for name, param in params.items() if "value" not in param] == ["ensemble", "why"]
    assert params["revision"]["value"] is None
    assert params["ensemble"]["examples"] == ["fashion-mnist"]


@pytest.mark.parametrize(
    ("name", "value"), [("ensemble", ""), ("revision", 0), ("revision", "three"), ("revision", 1.5), ("why", ""), ("why", "  ")]
)
def test_the_form_of_a_rollback_refuses_bad_values(bag, name, value):
    schema = bag["dags"]["rollback"]["params"][name]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, schema)


@pytest.mark.parametrize("name", ["reconcile", "rollback"])
def test_it_need_not_be_unpaused_first(bag, name):
    assert bag["dags"][name]["paused"] is False


@pytest.mark.parametrize("name", ["reconcile", "rollback"])
def test_the_dag_file_is_its_documentation(bag, name):
    dag = bag["dags"][name]
    assert all(f"**{task}**" in dag["doc"] for task in dag["tasks"])
