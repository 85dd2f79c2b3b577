"""The DAG as Airflow sees it: its tasks, their order, the trigger form, and what parsing costs."""

from pathlib import Path

import yaml

DAGS = Path(__file__).parents[2] / "dags"


def test_every_dag_file_imports(bag):
    assert bag["errors"] == {}
    assert set(bag["dags"]) == {"fashion_mnist", "reconcile", "rollback"}


def test_the_pipeline_is_wired_as_documented(bag):
    tasks = bag["dags"]["fashion_mnist"]["tasks"]
    members = ["cnn", "cnn_batch_norm", "cnn_dropout"]
    trainings = [f"train_{member}" for member in members]
    assert {name: task["upstream"] for name, task in tasks.items()} == {
        "is_stale": [],
        "ingest": ["is_stale"],
        "dataset": ["ingest"],
        **{training: ["dataset"] for training in trainings},
        **{f"gate_{member}": ["dataset", f"train_{member}"] for member in members},
        **{f"join_{member}": [f"gate_{member}", f"train_{member}"] for member in members},
        "promote": sorted(["dataset", *(f"{task}_{member}" for task in ("train", "gate", "join") for member in members)]),
    }


def test_a_fresh_dataset_skips_ingest_alone(bag):
    tasks = bag["dags"]["fashion_mnist"]["tasks"]
    assert tasks["is_stale"]["type"] == "ShortCircuitOperator"
    assert tasks["dataset"]["trigger_rule"] == "none_failed"
    assert tasks["dataset"]["outlets"] == ["headrace://datasets/fashion-mnist"]


def test_trainings_share_the_pool_and_are_retried(bag):
    for name, task in bag["dags"]["fashion_mnist"]["tasks"].items():
        if name.startswith("train_"):
            assert (task["type"], task["pool"], task["retries"]) == ("TrainingJobOperator", "training", 1)


def test_a_gate_stands_behind_each_training_and_is_skipped_with_it(bag):
    gates = {name: task for name, task in bag["dags"]["fashion_mnist"]["tasks"].items() if name.startswith("gate_")}
    assert {(task["type"], task["trigger_rule"], task["retries"]) for task in gates.values()} == {
        ("GateOperator", "all_success", 1)
    }


def test_the_choice_waits_for_everybody_and_counts_on_nobody(bag):
    tasks = bag["dags"]["fashion_mnist"]["tasks"]
    assert (tasks["promote"]["type"], tasks["promote"]["trigger_rule"]) == ("PromoteOperator", "all_done")
    joins = {task["type"]: task["trigger_rule"] for name, task in tasks.items() if name.startswith("join_")}
    assert joins == {"JoinOperator": "all_success"}
    assert tasks["promote"]["outlets"] == tasks["join_cnn"]["outlets"] == ["headrace://deployments/fashion-mnist"]


def test_where_a_person_is_asked_who_answers_stands_between_gate_and_join(inspect, tmp_path):
    tasks = pipeline_with(inspect, tmp_path, approval="manual")
    approve = tasks["approve_cnn"]
    assert (approve["type"], approve["upstream"], approve["trigger_rule"]) == ("ApproveOperator", ["gate_cnn"], "all_success")
    assert tasks["join_cnn"]["upstream"] == ["approve_cnn", "train_cnn"]
    assert {"gate_cnn", "approve_cnn", "join_cnn"} <= set(tasks["promote"]["upstream"])


def test_where_candidates_serve_only_when_chosen_none_joins(inspect, tmp_path):
    tasks = pipeline_with(inspect, tmp_path, progressive="never")
    assert not any(name.startswith("join_") for name in tasks)
    assert {"gate_cnn", "gate_cnn_batch_norm", "gate_cnn_dropout"} <= set(tasks["promote"]["upstream"])


def pipeline_with(inspect, folder, **ensemble):
    """The tasks of the pipeline when its ensemble says so."""
    spec = yaml.safe_load((DAGS / "fashion_mnist.yaml").read_text())
    spec["ensemble"] |= ensemble
    (folder / "fashion_mnist.yaml").write_text(yaml.safe_dump(spec))
    (folder / "fashion_mnist.py").write_text((DAGS / "fashion_mnist.py").read_text())
    found = inspect(folder)
    assert found["errors"] == {}
    return found["dags"]["fashion_mnist"]["tasks"]


def test_the_trigger_form_refuses_bad_values(bag):
    params = bag["dags"]["fashion_mnist"]["params"]
    assert set(params) == {"force_refresh", "epochs", "workers", "members", "ensemble_size"}
    assert (params["epochs"]["minimum"], params["epochs"]["maximum"]) == (1, 200)
    assert params["members"]["items"]["enum"] == ["cnn", "cnn_batch_norm", "cnn_dropout"]
    assert params["ensemble_size"]["maximum"] == 3
    assert params["force_refresh"]["value"] is False


def test_the_dag_file_is_its_documentation(bag):
    dag = bag["dags"]["fashion_mnist"]
    for task in dag["tasks"]:
        assert task in dag["doc"] or task.startswith(("train_", "gate_", "join_"))
    assert dag["catchup"] is False


def test_parsing_is_cheap_and_touches_nothing(bag):
    assert bag["seconds"] < 0.5
    assert bag["heavy"] == []
