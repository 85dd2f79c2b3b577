"""A deployment's slots and events: what is refused, and what is derived."""

import pytest
from pydantic import ValidationError

from deployment_world import MODEL
from fakes_deployment import FakeHistory
from headrace.specs.deployment import DeploymentRequest, EventKind, Origin, Slot


def request(*slots):
    return DeploymentRequest(ensemble=MODEL, slots=slots, origin=Origin.PROMOTION, who="ada", why="better")


@pytest.mark.parametrize("numbers", [(2, 1), (1, 1), (), range(1, 10)])
def test_slots_are_one_to_eight_in_ascending_order_each_once(numbers):
    with pytest.raises(ValidationError):
        request(*(Slot(slot=number, version=1) for number in numbers))


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf")])
def test_a_weight_is_a_positive_number(weight):
    with pytest.raises(ValidationError):
        Slot(slot=1, version=1, weight=weight)


@pytest.mark.parametrize(
    ("kinds", "outcome", "pending"),
    [
        ([], "requested", True),
        (["aliased"], "aliased", True),
        (["aliased", "live"], "live", False),
        (["aliased", "live", "repaired", "kept", "aliased"], "live", False),
        (["aliased", "failed"], "failed", False),
        (["aliased", "failed", "restored"], "restored", False),
        (["superseded"], "superseded", False),
    ],
)
def test_the_outcome_is_the_strongest_event(kinds, outcome, pending):
    history = FakeHistory()
    deployment = history.request(request(Slot(slot=1, version=1)))
    for kind in kinds:
        deployment = history.record(MODEL, 1, EventKind(kind))
    assert (deployment.outcome, deployment.pending) == (EventKind(outcome), pending)


def test_only_a_repair_of_aliases_leaves_aliases_due():
    history = FakeHistory()
    history.request(request(Slot(slot=1, version=1)))
    told = [("aliased", ""), ("live", "d"), ("repaired", "d"), ("repaired", ""), ("aliased", "")]
    due = [history.record(MODEL, 1, EventKind(kind), digest=digest).aliases_due for kind, digest in told]
    assert due == [False, False, False, True, False]
