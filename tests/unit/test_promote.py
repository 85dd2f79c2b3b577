"""Promotion: who is chosen, what is moved, and that a bad graph never touches what serves."""

import numpy as np
import pytest

from builders import candidate, dataset_version, verdict
from deployment_world import MODEL, SPACE, World, predictions
from headrace.errors import CorruptError, DeploymentFailedError, InvalidSpecError, NotFoundError
from headrace.specs.deployment import DeploymentRequest, Origin, Slot
from headrace.usecases.gate.predictions import Predictions, store_predictions
from headrace.usecases.promote import fill_slots


@pytest.fixture
def world():
    return World()


def needed_for_the_last_rows():
    """Predictions that are sure of the last tenth of the rows, where those of 0.9 are wrong, and a little wrong elsewhere."""
    found = predictions(0.0)
    of_label = np.where(np.arange(100) < 90, 0.2, 0.95).astype(np.float32)
    first = np.where(found.labels == 0, of_label, 1 - of_label)
    return Predictions(np.stack([first, 1 - first], axis=1), found.labels)


def test_the_best_two_serve_and_registry_and_history_say_so(world):
    low, high, middle = (world.candidate("x", 0.7), world.candidate("y", 0.9), world.candidate("z", 0.8))
    promotion = world.promote(low, high, middle)
    assert world.aliases == world.live_versions == {"slot-1": high.version, "slot-2": middle.version}
    assert (promotion.former, promotion.revision, promotion.members) == ((), 1, world.live_members)
    (deployment,) = world.history.deployments(MODEL)
    request = deployment.request
    assert (request.origin, request.who, request.run) == (Origin.PROMOTION, "ada", "r")
    assert request.why == "2 of 3 candidates chosen on validation: 0.9000 right, the best alone 0.9000"
    assert request.verdicts == {str(each.version): verdict(each.version).model_dump(mode="json") for each in (high, middle)}
    assert (promotion.accuracy, promotion.alone) == (0.9, {"1": 0.7, "2": 0.9, "3": 0.8})
    assert world.serving.get(SPACE, "shoes-preview") is None


def test_promoting_again_publishes_nothing_again_and_knows_what_it_replaced(world):
    first = world.promote(world.candidate("a", 0.5), world.candidate("b", 0.6), run="r1")
    second = world.promote(world.candidate("c", 0.8), world.candidate("d", 0.7), run="r2")
    assert second.former == first.members
    # A version whose files serving already has is not asked of the registry again.
    world.registry.files.clear()
    third = candidate("c", 3, validation_accuracy=0.8), candidate("d", 4, validation_accuracy=0.7)
    repeated = world.promote(*third, run="r3")
    assert (repeated.digest, repeated.revision) == (second.digest, 3)


def test_the_choice_is_of_those_that_do_best_together_not_of_the_best_two(world):
    """The second best errs where the best does; the worst is right there."""
    best, second, worst = world.candidate("best", 0.8), world.candidate("second", 0.7), world.candidate("worst", 0.0)
    there = predictions(1 - 0.8)
    mirrored = Predictions(there.probabilities[::-1, ::-1], there.labels)  # the labels alternate
    store_predictions(world.store, dataset_version(), MODEL, worst.version, mirrored)
    promotion = world.promote(best, second, worst)
    assert set(world.live_versions.values()) == {best.version, worst.version}
    assert promotion.accuracy > max(promotion.alone.values())


def test_weights_that_were_chosen_are_served(world):
    heavy, light = world.candidate("heavy", 0.9), world.candidate("light", 0.0)
    store_predictions(world.store, dataset_version(), MODEL, light.version, needed_for_the_last_rows())
    ensemble = world.ensemble.model_copy(update={"weighted": True})
    pipeline = world.pipeline.model_copy(update={"ensemble": ensemble})
    world.promoter.promote(world.promotion(heavy, light, pipeline=pipeline))
    weights = {member.version: member.weight for member in world.live_members}
    assert weights[heavy.version] > weights[light.version] >= 1.0


def test_what_joined_and_is_chosen_keeps_its_place_and_its_nodes(world):
    a, b = world.candidate("a", 0.6), world.candidate("b", 0.9)
    world.deploy(a.version, b.version)
    served, applied = world.live_members, len(world.serving.applied)
    promotion = world.promote(a, b)
    assert (promotion.revision, promotion.members) == (2, served)
    assert [document["metadata"]["name"] for document in world.serving.applied[applied:]] == ["shoes"]


@pytest.mark.parametrize(
    ("chosen", "serving", "slots"),
    [
        ([5, 6], [], [5, 6]),
        ([5, 6], [6, 5], [6, 5]),
        ([5, 6], [4, 5], [6, 5]),
        ([5], [4, 5], [5]),
        ([7, 8, 5], [4, 5], [7, 5, 8]),
    ],
)
def test_one_that_serves_keeps_its_slot_if_there_is_one_of_that_number(chosen, serving, slots):
    now = [Slot(slot=number, version=version) for number, version in enumerate(serving, start=1)]
    filled = fill_slots({version: float(version) for version in chosen}, now)
    assert [(slot.slot, slot.version, slot.weight) for slot in filled] == [
        (number, version, float(version)) for number, version in enumerate(slots, start=1)
    ]


def test_one_that_failed_when_it_joined_is_not_chosen_and_the_result_says_why(world):
    a, b, mortal = (world.candidate(name, accuracy) for name, accuracy in (("a", 0.6), ("b", 0.7), ("mortal", 0.9)))
    slots = (Slot(slot=1, version=mortal.version),)
    world.serving.refuses.add("shoes-preview")
    with pytest.raises(DeploymentFailedError):
        world.reconciler.deploy(
            world.ensemble,
            DeploymentRequest(ensemble=MODEL, slots=slots, origin=Origin.JOIN, who="ada", why="it was ready", run="r"),
        )
    world.serving.refuses.clear()
    promotion = world.promote(a, b, mortal)
    assert set(world.live_versions.values()) == {a.version, b.version}
    assert promotion.left_out.keys() == {str(mortal.version)}
    assert promotion.left_out[str(mortal.version)].startswith("failed when it joined: ")


def test_candidates_that_no_gate_measured_or_on_other_examples_are_not_chosen_from(world):
    a = world.candidate("a", 0.6)
    unmeasured = candidate("b", world.register("b"), validation_accuracy=0.9)
    with pytest.raises(NotFoundError):
        world.promote(a, unmeasured)
    found = predictions(0.9)
    others = Predictions(found.probabilities, 1 - found.labels)
    store_predictions(world.store, dataset_version(), MODEL, unmeasured.version, others)
    with pytest.raises(CorruptError, match="not measured on the same examples"):
        world.promote(a, unmeasured)
    assert world.serving.applied == []


def test_a_retry_of_the_step_makes_no_second_revision(world):
    candidates = world.candidate("a", 0.5), world.candidate("b", 0.6)
    assert world.promote(*candidates) == world.promote(*candidates)
    assert world.outcomes() == ["live"]


def test_a_smaller_ensemble_frees_the_slot(world):
    a, b = world.candidate("a", 0.5), world.candidate("b", 0.6)
    world.promote(a, b)
    world.promote(a, b, size=1)
    assert world.aliases == {"slot-1": b.version}


def test_too_few_candidates_change_nothing(world):
    with pytest.raises(InvalidSpecError, match=r"1 candidate\(s\) cannot make an ensemble of at least 2 \(at run r\)"):
        world.promote(world.candidate("a", 0.5))
    assert world.serving.applied == []


def test_a_version_that_a_rollback_rejected_is_not_chosen_again_until_it_is_released(world):
    good, bad = world.candidate("good", 0.6), world.candidate("bad", 0.9)
    world.deploy(good.version)
    world.deploy(bad.version)
    world.rollback(why="answers oddly")
    promotion = world.promote(good, bad, size=1)
    assert promotion.members[0].version == good.version
    assert promotion.left_out == {str(bad.version): "rejected by a rollback"}
    with pytest.raises(InvalidSpecError, match=rf"1 candidate\(s\) .* Version {bad.version} was rejected by a rollback"):
        world.promote(good, bad)
    world.registry.delete_tag(MODEL, bad.version, "headrace.rejected")
    assert world.promote(good, bad, size=1, run="later").members[0].version == bad.version


@pytest.mark.parametrize("fault", ["never ready", "wrong answers"])
def test_a_graph_that_fails_its_preview_leaves_everything_as_it_was(world, fault):
    world.promote(world.candidate("a", 0.5), world.candidate("b", 0.6))
    before = world.serving.get(SPACE, "shoes"), world.aliases
    if fault == "never ready":
        world.serving.refuses.add("shoes-preview")
    else:
        world.serving.skewed["shoes-preview"] = 2e-4
    applied = len(world.serving.applied)
    with pytest.raises(DeploymentFailedError):
        world.promote(world.candidate("c", 0.8), world.candidate("d", 0.7))
    assert (world.serving.get(SPACE, "shoes"), world.aliases) == before
    assert world.serving.get(SPACE, "shoes-preview") is None
    assert all(document["metadata"]["name"] == "shoes-preview" for document in world.serving.applied[applied:])


def test_a_version_without_golden_answers_cannot_serve(world):
    a, b = world.candidate("a", 0.5), world.candidate("b", 0.6)
    del world.registry.files[MODEL, b.version]["golden.npz"]
    with pytest.raises(CorruptError, match=r"has no golden\.npz"):
        world.promote(a, b)
    assert (world.live_versions, world.aliases, world.outcomes()) == ({}, {}, ["restored"])
