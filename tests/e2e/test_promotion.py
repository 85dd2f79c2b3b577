"""Changing what serves on a real stack: by an alias, back again with one verb, and never to what does not prove itself.

The tests run in the order they are written; each leaves two versions serving.
"""

import json
import shutil

import numpy as np
import pytest

from headrace.adapters.dataset_reader import open_split
from headrace.specs.dataset import Split
from headrace.specs.deployment import EventKind, Origin
from headrace.usecases.deploy.slots import is_rejected
from pipeline_world import MODEL
from waiting import wait_for

WITHIN_SECONDS = 90

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def versions(world, first_run):
    """The versions of the first run, all of which passed their gates."""
    return [world.result(first_run, f"train_{member}")["version"] for member in ("cnn", "cnn_batch_norm", "cnn_dropout")]


@pytest.fixture(scope="module")
def images(world, first_run):
    """A few of the test split."""
    dataset = world.platform.catalogue.versions(MODEL)[-1]
    return open_split(world.platform.store, dataset, Split.TEST)[0][0][:8]


@pytest.fixture(scope="module", autouse=True)
def two_serve(stack, world, versions, images):
    """The first two versions serve, by a person's choice."""
    chosen = ",".join(map(str, versions[:2]))
    stack.headrace("promote", "fashion-mnist", "--versions", chosen, "--why", "where these tests begin")
    assert sorted(world.answering(images)) == sorted(versions[:2])


def settled(world, images, wanted):
    wait_for(lambda: sorted(world.answering(images)) == sorted(wanted), WITHIN_SECONDS, f"versions {wanted} answer")
    wait_for(lambda: not world.history()[-1].pending, WITHIN_SECONDS, "the history says so")


def test_an_alias_moved_in_the_registry_is_what_serves_and_the_history_says_who_noticed(world, versions, images):
    with world.trickle(callers=2) as trickle:
        world.mlflow.set_registered_model_alias(MODEL, "slot-1", str(versions[2]))
        other = world.mlflow.get_registered_model(MODEL).aliases["slot-2"]
        settled(world, images, [versions[2], int(other)])
    assert trickle.failures == []
    assert trickle.asked > 20
    serving = world.serving()
    assert (serving.request.origin, serving.request.who) == (Origin.REGISTRY, "registry")
    assert serving.request.aliases == {"slot-1": versions[2], "slot-2": int(other)}


def test_a_rollback_brings_the_former_answers_back_bit_for_bit(stack, world, images):
    former = json.loads(stack.headrace("serving", "fashion-mnist", "--json").stdout)
    before = world.predict(images)["data"]
    stack.headrace("rollback", "fashion-mnist", "--why", "to see another")
    assert world.predict(images)["data"] != before
    with world.trickle(callers=2) as trickle:
        stack.headrace("rollback", "fashion-mnist", "--to", str(former["revision"]), "--why", "that was better")
    assert trickle.failures == []
    assert world.predict(images)["data"] == before
    newest = world.history()[-1]
    assert newest.request.origin is Origin.ROLLBACK
    assert newest.request.rejects
    assert all(is_rejected(world.platform.registry, MODEL, version) for version in newest.request.rejects)
    for version in (*newest.request.versions, *newest.request.rejects):
        stack.headrace("release", "fashion-mnist", str(version))


def test_what_a_person_deletes_or_edits_by_hand_is_put_right(stack, world, images):
    serving = world.serving()
    world.platform.serving.delete(world.settings.namespace, "fashion-mnist")
    assert world.answering(images) == []
    stack.headrace("reconcile", "fashion-mnist")
    assert sorted(world.answering(images)) == sorted(serving.request.versions)
    repaired = [event for event in world.serving().events if event.kind is EventKind.REPAIRED]
    assert repaired[-1].detail == "the graph was gone"


@pytest.fixture
def crashing(world, versions, tmp_path):
    """A registered version whose network cannot be opened; gone from the registry afterwards."""
    registry = world.platform.registry
    folder = registry.download(registry.version(MODEL, versions[0]), tmp_path / "files")
    (folder / "model.onnx").write_bytes(b"no network")
    shutil.make_archive(str(tmp_path / "copy"), "zip", folder)
    run = world.mlflow.create_run(world.mlflow.get_experiment_by_name("fashion_mnist").experiment_id)
    world.mlflow.log_artifacts(run.info.run_id, str(folder), "model")
    source = f"{world.mlflow.get_run(run.info.run_id).info.artifact_uri}/model"
    version = world.mlflow.create_model_version(MODEL, source=source, run_id=run.info.run_id)
    yield int(version.version)
    world.mlflow.delete_model_version(MODEL, version.version)


def test_a_version_that_crashes_at_start_never_serves_and_its_alias_is_set_back(world, images, crashing):
    serving = world.serving()
    with world.trickle(callers=2) as trickle:
        world.mlflow.set_registered_model_alias(MODEL, "slot-1", str(crashing))
        wait_for(lambda: world.history()[-1].outcome is EventKind.RESTORED, WITHIN_SECONDS, "it is refused")
        settled(world, images, serving.request.versions)
    assert trickle.failures == []
    refused = world.history()[-1]
    assert crashing in refused.request.versions
    assert refused.reason
    aliases = {name: int(version) for name, version in world.mlflow.get_registered_model(MODEL).aliases.items()}
    assert aliases == serving.request.aliases
    assert world.serving().revision == serving.revision


def test_a_version_that_serves_may_be_deleted_from_the_registry_and_serves_on(stack, world, versions, images):
    serving = world.serving()
    spare = serving.request.versions[0]
    copied = world.mlflow.copy_model_version(f"models:/{MODEL}/{spare}", MODEL)
    world.mlflow.set_registered_model_alias(MODEL, "slot-1", copied.version)
    settled(world, images, [int(copied.version), *serving.request.versions[1:]])
    world.mlflow.delete_model_version(MODEL, copied.version)
    stack.headrace("reconcile", "fashion-mnist")
    assert int(copied.version) in world.answering(images)
    assert any(event.kind is EventKind.KEPT for event in world.serving().events)
    done = stack.headrace("promote", "fashion-mnist", "--versions", copied.version, "--why", "again", check=False)
    assert done.returncode != 0
    stack.headrace("rollback", "fashion-mnist", "--to", str(serving.revision), "--why", "the copy is gone")
    assert sorted(world.answering(images)) == sorted(serving.request.versions)


def test_what_served_when_is_told_and_two_revisions_compared(stack, world):
    told = json.loads(stack.headrace("history", "fashion-mnist", "--json").stdout)
    history = world.history()
    assert (
        [each["revision"] for each in reversed(told)] == [each.revision for each in history] == list(range(1, len(history) + 1))
    )
    lived = [each for each in history if each.live]
    moments = np.array([each.live.timestamp() for each in lived])
    assert (np.diff(moments) > 0).all()
    then = json.loads(stack.headrace("serving", "fashion-mnist", "--at", lived[1].live.isoformat(), "--json").stdout)
    assert then["revision"] == lived[1].revision
    alone, together = lived[0], lived[-1]
    assert (len(alone.request.slots), len(together.request.slots)) == (1, 2)
    compared = stack.headrace("diff", "fashion-mnist", str(alone.revision), str(together.revision), "--json").stdout
    assert 2 in {change["slot"] for change in json.loads(compared)["changes"]}
