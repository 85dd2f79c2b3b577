"""Promotion: who is chosen, what is moved, and that a bad graph never touches what serves."""

import io
import json

import numpy as np
import pytest

from builders import candidate, pipeline
from fakes import FakeLocks, FakeStore
from fakes_promotion import FakeRegistry, FakeServing, fake_probabilities
from headrace.errors import CorruptError, DeploymentFailedError, InvalidSpecError
from headrace.render.seldon import ServingTarget, members_of
from headrace.specs.step import PromoteStep, VerifyStep
from headrace.usecases.promote import Promoter, rank

SPACE = "test"


class World:
    """A promoter over fakes, with registered versions to promote."""

    def __init__(self):
        self.registry, self.serving, self.store = FakeRegistry(), FakeServing(), FakeStore()
        self.promoter = Promoter(
            registry=self.registry,
            serving=self.serving,
            store=self.store,
            locks=FakeLocks(),
            target=ServingTarget(namespace=SPACE),
        )
        self.pipeline = pipeline()

    def candidate(self, member, accuracy):
        registered = self.registry.register(
            model="shoes", model_uri=f"models:/m-{member}", run_id=f"run-{member}", description="", tags={}
        )
        self.registry.files["shoes", registered.version] = model_files(registered.version)
        return candidate(member, registered.version, validation_accuracy=accuracy)

    def promote(self, *candidates, size=2):
        step = PromoteStep(pipeline=self.pipeline, run="r", candidates=candidates, size=size)
        return self.promoter.promote(step)

    def verify(self, promotion):
        return self.promoter.verify(VerifyStep(pipeline=self.pipeline, run="r", promotion=promotion))

    @property
    def live_versions(self):
        document = self.serving.get(SPACE, "shoes")
        return [member.version for member in members_of(document)] if document else None


def model_files(version):
    inputs = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    golden = io.BytesIO()
    np.savez(golden, inputs=inputs, outputs=fake_probabilities(inputs, version).astype(np.float32))
    return {"model.onnx": b"onnx %d" % version, "model.json": json.dumps({}).encode(), "golden.npz": golden.getvalue()}


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


def test_the_best_two_serve_and_the_registry_says_so(world):
    low, high, middle = (world.candidate("x", 0.7), world.candidate("y", 0.9), world.candidate("z", 0.8))
    promotion = world.promote(low, high, middle)
    assert world.registry.aliases("shoes") == {"slot-1": high.version, "slot-2": middle.version}
    assert world.live_versions == [high.version, middle.version]
    assert promotion.former == ()
    assert world.verify(promotion).requests == 6
    assert world.serving.get(SPACE, "shoes-preview") is None


def test_promoting_again_publishes_nothing_again_and_knows_what_it_replaced(world):
    first = world.promote(world.candidate("a", 0.5), world.candidate("b", 0.6))
    second = world.promote(world.candidate("c", 0.8), world.candidate("d", 0.7))
    assert [member.version for member in second.former] == [member.version for member in first.members]
    # A version whose files serving already has is not asked of the registry again.
    world.registry.files.clear()
    repeated = world.promote(candidate("c", 3, validation_accuracy=0.8), candidate("d", 4, validation_accuracy=0.7))
    assert repeated.digest == second.digest


def test_a_smaller_ensemble_frees_the_slot(world):
    a, b = world.candidate("a", 0.5), world.candidate("b", 0.6)
    world.promote(a, b)
    world.promote(a, b, size=1)
    assert world.registry.aliases("shoes") == {"slot-1": b.version}


def test_too_few_candidates_change_nothing(world):
    with pytest.raises(InvalidSpecError, match="cannot fill an ensemble of 2"):
        world.promote(world.candidate("a", 0.5))
    assert world.serving.applied == []


@pytest.mark.parametrize("fault", ["never ready", "wrong answers"])
def test_a_graph_that_fails_its_preview_leaves_everything_as_it_was(world, fault):
    first = world.promote(world.candidate("a", 0.5), world.candidate("b", 0.6))
    before = world.serving.get(SPACE, "shoes"), world.registry.aliases("shoes")
    if fault == "never ready":
        world.serving.refuses.add("shoes-preview")
    else:
        world.serving.skewed["shoes-preview"] = 2e-4
    with pytest.raises(DeploymentFailedError):
        world.promote(world.candidate("c", 0.8), world.candidate("d", 0.7))
    assert (world.serving.get(SPACE, "shoes"), world.registry.aliases("shoes")) == before
    assert world.serving.get(SPACE, "shoes-preview") is None
    assert first.members


def test_a_graph_that_does_not_start_gives_the_aliases_back(world):
    world.promote(world.candidate("a", 0.5), world.candidate("b", 0.6))
    before = world.registry.aliases("shoes")
    world.serving.refuses.add("shoes")
    with pytest.raises(DeploymentFailedError):
        world.promote(world.candidate("c", 0.8), world.candidate("d", 0.7))
    assert world.registry.aliases("shoes") == before


def test_a_live_graph_that_answers_otherwise_is_replaced_by_the_former(world):
    first = world.promote(world.candidate("a", 0.5), world.candidate("b", 0.6))
    second = world.promote(world.candidate("c", 0.8), world.candidate("d", 0.7))
    world.serving.skewed["shoes"] = 2e-4
    with pytest.raises(DeploymentFailedError, match="away from what was recorded at training"):
        world.verify(second)
    assert world.live_versions == [member.version for member in first.members]
    assert world.registry.aliases("shoes") == {member.alias: member.version for member in first.members}


def test_a_first_graph_that_answers_otherwise_is_taken_away(world):
    promotion = world.promote(world.candidate("a", 0.5), world.candidate("b", 0.6))
    world.serving.skewed["shoes"] = float("nan")
    with pytest.raises(DeploymentFailedError):
        world.verify(promotion)
    assert world.live_versions is None
    assert world.registry.aliases("shoes") == {}


def test_a_version_without_golden_answers_cannot_serve(world):
    a, b = world.candidate("a", 0.5), world.candidate("b", 0.6)
    del world.registry.files["shoes", b.version]["golden.npz"]
    with pytest.raises(CorruptError, match=r"has no golden\.npz"):
        world.promote(a, b)
    assert world.live_versions is None
