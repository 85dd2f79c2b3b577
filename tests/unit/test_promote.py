"""Promotion: who is chosen, what is moved, and that a bad graph never touches what serves."""

import pytest

from builders import candidate
from deployment_world import MODEL, SPACE, World
from headrace.errors import CorruptError, DeploymentFailedError, InvalidSpecError
from headrace.specs.deployment import Origin
from headrace.usecases.promote import rank


@pytest.fixture
def world():
    return World()


def test_candidates_are_ranked_on_validation_and_ties_are_stable():
    candidates = [
        candidate("b", 2, validation_accuracy=0.9, test_accuracy=0.99),
        candidate("c", 3, validation_accuracy=0.92, test_accuracy=0.1),
        candidate("a", 1, validation_accuracy=0.9, test_accuracy=0.5),
    ]
    assert [each.member for each in rank(candidates, "validation_accuracy")] == ["c", "a", "b"]
    with pytest.raises(InvalidSpecError, match="no metric `loss`"):
        rank(candidates, "loss")


def test_the_best_two_serve_and_registry_and_history_say_so(world):
    low, high, middle = (world.candidate("x", 0.7), world.candidate("y", 0.9), world.candidate("z", 0.8))
    promotion = world.promote(low, high, middle)
    assert world.aliases == world.live_versions == {"slot-1": high.version, "slot-2": middle.version}
    assert (promotion.former, promotion.revision, promotion.members) == ((), 1, world.live_members)
    (deployment,) = world.history.deployments(MODEL)
    assert (deployment.request.origin, deployment.request.who, deployment.request.run) == (
        Origin.PROMOTION,
        "pipeline shoes",
        "r",
    )
    assert deployment.request.why == "the best 2 of 3 candidates by validation_accuracy"
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
    with pytest.raises(InvalidSpecError, match="cannot fill an ensemble of 2"):
        world.promote(world.candidate("a", 0.5))
    assert world.serving.applied == []


def test_a_version_that_a_rollback_rejected_is_not_chosen_again_until_it_is_released(world):
    good, bad = world.candidate("good", 0.6), world.candidate("bad", 0.9)
    world.deploy(good.version)
    world.deploy(bad.version)
    world.rollback(why="answers oddly")
    assert world.promote(good, bad, size=1).members[0].version == good.version
    with pytest.raises(InvalidSpecError, match=r"1 candidate\(s\) cannot fill an ensemble of 2 \(1 rejected\)"):
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
