"""A person's choice of what serves: versions that passed their gate, unless it is forced."""

import pytest

from deployment_world import MODEL, World
from headrace.errors import InvalidSpecError, NotFoundError
from headrace.specs.deployment import REJECTED_TAG
from headrace.specs.gate import FAILED, GATE_TAG, PASSED
from headrace.usecases.deploy.choose import choice_request
from headrace.usecases.deploy.slots import release


@pytest.fixture
def world():
    return World()


def register(world, name, gate=PASSED):
    version = world.register(name)
    if gate:
        world.registry.set_tag(MODEL, version, GATE_TAG, gate)
        world.registry.set_tag(MODEL, version, f"{GATE_TAG}.floor", "0.91 (limit 0.8) ok")
    return version


def choose(world, weights, *, force=False):
    history = world.history.deployments(MODEL)
    return choice_request(
        history, ensemble=world.ensemble, registry=world.registry, weights=weights, who="ada", why="trial", force=force
    )


def slots(request):
    return [(slot.slot, slot.version, slot.weight) for slot in request.slots]


def test_versions_fill_the_slots_in_their_order_with_their_weights(world):
    first, second = register(world, "first"), register(world, "second")
    request = choose(world, {second: 2.0, first: 1.0})
    assert slots(request) == [(1, second, 2.0), (2, first, 1.0)]
    assert (request.who, request.why) == ("ada", "trial")
    assert request.verdicts[str(first)] == {GATE_TAG: PASSED, f"{GATE_TAG}.floor": "0.91 (limit 0.8) ok"}


def test_a_version_that_serves_keeps_its_slot_and_needs_no_gate(world):
    first, second = register(world, "first", gate=None), register(world, "second", gate=None)
    third = register(world, "third")
    world.deploy(first, second)
    request = choose(world, {third: 1.0, second: 1.0})
    assert slots(request) == [(1, third, 1.0), (2, second, 1.0)]
    assert request.why == "trial"


@pytest.mark.parametrize("gate", [None, FAILED])
def test_a_version_without_a_passed_gate_is_refused_unless_forced_and_the_history_says_so(world, gate):
    version = register(world, "first", gate=gate)
    with pytest.raises(InvalidSpecError, match=r"version 1 has not passed a gate .*--force"):
        choose(world, {version: 1.0})
    assert choose(world, {version: 1.0}, force=True).why == "trial (forced: version 1 has not passed a gate)"


def test_a_rejected_version_is_refused_even_by_force_until_it_is_released(world):
    version = register(world, "first")
    world.registry.set_tag(MODEL, version, REJECTED_TAG, "back to revision 3: worse")
    with pytest.raises(InvalidSpecError, match=r"rejected: back to revision 3: worse .*headrace release shoes 1"):
        choose(world, {version: 1.0}, force=True)
    assert release(world.registry, MODEL, version)
    assert not release(world.registry, MODEL, version)
    assert slots(choose(world, {version: 1.0})) == [(1, version, 1.0)]


@pytest.mark.parametrize("count", [0, 9])
def test_none_and_too_many_are_refused(world, count):
    with pytest.raises(InvalidSpecError, match="Name 1 to 8"):
        choose(world, {register(world, f"v{number}"): 1.0 for number in range(count)})


def test_a_version_that_does_not_exist_is_not_found(world):
    with pytest.raises(NotFoundError):
        choose(world, {7: 1.0})
    with pytest.raises(NotFoundError):
        release(world.registry, MODEL, 7)
