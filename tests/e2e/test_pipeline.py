"""The Fashion-MNIST pipeline on a real stack and the real images: every promise of the README, once.

The tests run in the order they are written and build on each other's runs, because a run costs a minute.
"""

import time
from dataclasses import dataclass

import numpy as np
import pytest

from headrace.adapters.dataset_reader import open_split, read_manifest
from headrace.errors import InvalidSpecError
from headrace.specs.dataset import Split
from headrace.specs.deployment import Origin
from headrace.specs.step import run_name
from headrace.usecases.ensemble import select
from headrace.usecases.gate.predictions import load_predictions
from pipeline_world import MODEL, walk, workers_of
from trickle import Trickle
from waiting import wait_for

MEMBERS = ("cnn", "cnn_batch_norm", "cnn_dropout")

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]


def test_a_first_run_ingests_the_real_images(world, first_run):
    version = world.platform.catalogue.versions(MODEL)[-1]
    assert version.rows == {Split.TRAIN: 55_000, Split.VALIDATION: 5_000, Split.TEST: 10_000}
    assert read_manifest(world.platform.store, version).digest == version.digest
    assert world.task(first_run, "ingest").state == "success"
    event = world.events()[0]
    assert event["extra"]["cached"] is False
    assert event["extra"]["version"] == version.version
    assert world.result(first_run, "is_stale", "reason") == "stale: never ingested"


def test_every_member_is_one_run_with_all_there_is_to_see(world, first_run):
    runs = world.runs(first_run)
    assert sorted(run.info.run_name for run in runs) == sorted(MEMBERS)
    for run in runs:
        assert run.info.status == "FINISHED"
        assert {"validation_accuracy", "test_accuracy", "images_per_second"} <= set(run.data.metrics)
        assert run.data.metrics["validation_accuracy"] > 0.75
        assert run.inputs.dataset_inputs[0].dataset.name == "fashion-mnist"
        assert run.data.tags["mlflow.note.content"]
        pictures = [item.path for item in walk(world.mlflow, run.info.run_id) if item.path.endswith(".png")]
        assert len(pictures) >= 2
        assert [metric.step for metric in world.mlflow.get_metric_history(run.info.run_id, "validation_accuracy")] == [1]


def test_every_candidate_passed_its_gate_and_its_version_says_so(world, first_run):
    for member in MEMBERS:
        verdict = world.result(first_run, f"gate_{member}")
        assert verdict["passed"], [check for check in verdict["checks"] if not check["passed"]]
        assert verdict["champion"] is None, "what this very run put there is not what a candidate replaces"
        version = world.mlflow.get_model_version(MODEL, str(verdict["version"]))
        assert version.tags["headrace.gate"] == "passed"
        assert version.tags["headrace.gate.floor"].endswith("(at least 0.75) ok")
        assert "### Gate: passed" in version.description
        assert verdict["page"] in [item.path for item in walk(world.mlflow, version.run_id)]


@pytest.mark.parametrize("choice", [{"epochs": 0}, {"workers": "two"}, {"members": ["resnet"]}, {"ensemble_size": 4}])
def test_airflow_refuses_bad_values_before_anything_runs(world, choice):
    with pytest.raises(InvalidSpecError, match="Airflow refused"):
        world.trigger(**choice)


def test_the_two_that_do_best_together_on_validation_hold_the_slots(world, first_run):
    versions = [world.result(first_run, f"train_{member}")["version"] for member in MEMBERS]
    dataset = world.platform.catalogue.versions(MODEL)[-1]
    measured = {version: load_predictions(world.platform.store, dataset, MODEL, version) for version in versions}
    answers = {version: found.probabilities for version, found in measured.items()}
    best = select(answers, measured[versions[0]].labels, size=2, minimum=2)
    aliases = world.mlflow.get_registered_model(MODEL).aliases
    assert aliases.keys() == {"slot-1", "slot-2"}
    assert {int(version) for version in aliases.values()} == set(best.weights)
    assert world.result(first_run, "promote")["accuracy"] == best.score.accuracy
    serving = world.serving()
    assert serving.request.aliases == {alias: int(version) for alias, version in aliases.items()}
    assert (serving.revision, serving.request.run) == (world.result(first_run, "promote")["revision"], run_name(first_run))
    assert world.platform.unreconciled() == []


def test_the_first_candidate_served_before_the_choice_and_others_joined_it(world, first_run):
    history = world.history()
    joins = [each for each in history if each.request.origin is Origin.JOIN and each.request.run == run_name(first_run)]
    assert [len(each.request.slots) for each in joins] == [1, 2]
    choice = next(each for each in history if each.revision == world.result(first_run, "promote")["revision"])
    assert joins[0].live < joins[1].live < choice.requested
    skipped = [member for member in MEMBERS if world.task(first_run, f"join_{member}").state == "skipped"]
    assert len(skipped) == 1, "there are two slots"


def test_the_first_candidate_answered_while_others_trained_and_joining_cost_no_request(beginning):
    assert beginning.training
    assert beginning.trickle.failures == []
    assert beginning.trickle.asked > 100


def test_the_endpoint_answers_with_every_vote(world, first_run):
    version = world.platform.catalogue.versions(MODEL)[-1]
    images, labels = open_split(world.platform.store, version, Split.TEST)[0]
    reply = world.predict(images[:200])
    probabilities = np.asarray(reply["data"]["ndarray"])
    tags = reply["meta"]["tags"]
    assert [vote["name"] for vote in tags["votes"]] == ["slot-1", "slot-2"]
    mean = np.mean([vote["probabilities"] for vote in tags["votes"]], axis=0)
    np.testing.assert_allclose(probabilities, mean, atol=1e-9)
    classes = world.spec.dataset.classes
    right = np.mean([classes.index(name) == label for name, label in zip(tags["classes"], labels[:200], strict=True)])
    assert right > 0.75
    assert world.platform.serving.get(world.settings.namespace, "fashion-mnist-preview") is None


@dataclass(frozen=True)
class SecondRun:
    """A run of one member on the cached dataset, whose scheduler was killed while the workers ran.

    Attributes:
        run_id: of the run.
        tasks: by id, once it had ended.
        trickle: predictions all the while.
    """

    run_id: str
    tasks: dict
    trickle: Trickle


@pytest.fixture(scope="module")
def second_run(world, stack, first_run):
    with world.trickle() as trickle:
        run_id = world.trigger(epochs=1, members=["cnn_dropout"], ensemble_size=1)
        wait_for(lambda: workers_of(world), 120, "workers run")
        stack.kill("airflow-scheduler")
        state, tasks = world.finish(run_id)
    assert state == "success", tasks
    return SecondRun(run_id, tasks, trickle)


def test_a_second_run_skips_ingest_alone(world, second_run):
    tasks = second_run.tasks
    assert {task_id for task_id, task in tasks.items() if task.state == "skipped"} == {
        "ingest",
        *(f"{phase}_{member}" for phase in ("train", "gate", "join") for member in ("cnn", "cnn_batch_norm")),
        "join_cnn_dropout",  # what serves already serves until the choice
    }
    reason = world.result(second_run.run_id, "is_stale", "reason")
    assert reason.startswith("cached: ")
    assert any(reason in line for line in world.log(second_run.run_id, tasks["is_stale"]))
    event = world.events()[0]["extra"]
    assert (event["cached"], event["reason"]) == (True, reason)


def test_a_second_run_rolls_without_a_failed_request(world, second_run):
    assert second_run.trickle.failures == []
    assert second_run.trickle.asked > 100
    assert set(world.mlflow.get_registered_model(MODEL).aliases) == {"slot-1"}


def test_a_killed_scheduler_costs_no_run_and_makes_no_second_version(world, second_run):
    (run,) = world.runs(second_run.run_id)
    assert run.info.status == "FINISHED"
    versions = [each for each in world.mlflow.search_model_versions(f"name = '{MODEL}'") if each.run_id == run.info.run_id]
    assert len(versions) == 1


def test_a_killed_worker_fails_the_try_with_its_last_words_and_the_retry_resumes(world, first_run):
    run_id = world.trigger(epochs=2, members=["cnn"], ensemble_size=1, force_refresh=True)
    wait_for(lambda: b'"epoch":1' in world.progress(run_id, "cnn"), 240, "the first epoch ends")
    workers_of(world, rank=1)[0].kill()
    killed = time.monotonic()
    wait_for(lambda: world.runs(run_id)[0].info.status == "FAILED", 30, "the MLflow run is FAILED")
    assert time.monotonic() - killed < 30
    assert "SIGKILL" in world.runs(run_id)[0].data.tags["headrace.failure"]
    state, tasks = world.finish(run_id)
    assert state == "success"
    assert tasks["ingest"].state == "success", "force_refresh ingests again"
    assert tasks["train_cnn"].attempt == 2
    first_try = "\n".join(world.log(run_id, tasks["train_cnn"], attempt=1))
    assert "worker 1" in first_try
    assert "SIGKILL" in first_try
    (run,) = world.runs(run_id)
    assert run.info.status == "FINISHED"
    steps = [metric.step for metric in world.mlflow.get_metric_history(run.info.run_id, "validation_accuracy")]
    assert sorted(steps) == [1, 2], "no epoch is logged twice"


def test_a_worker_never_outlives_its_run(world):
    assert workers_of(world) == []
