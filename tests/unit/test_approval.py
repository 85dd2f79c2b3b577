"""Approval: whose answer counts, and what a person finds in the registry while there is none."""

import pytest

from fakes_promotion import FakeRegistry
from headrace.errors import NotFoundError
from headrace.usecases.approval import APPROVAL_TAG, ask, expire, find_answer


@pytest.fixture
def registry():
    """Knows one version, 1, of the model `shoes`."""
    registry = FakeRegistry()
    registry.register(model="shoes", model_uri="models:/m-1", run_id="run-1", description="", tags={})
    return registry


def said(registry):
    return registry.version("shoes", 1).tags.get(APPROVAL_TAG)


def test_a_candidate_can_be_found_while_it_waits(registry):
    ask(registry, "shoes", 1)
    assert said(registry) == "waiting"
    assert find_answer(registry, "shoes", 1) is None


@pytest.mark.parametrize(("value", "approved"), [("approved", True), ("rejected", False), (" Approved ", True)])
def test_the_tag_is_the_answer(registry, value, approved):
    ask(registry, "shoes", 1)
    registry.set_tag("shoes", 1, APPROVAL_TAG, value)
    answer = find_answer(registry, "shoes", 1)
    assert answer.approved is approved
    assert answer.reason == f"the tag headrace.approval of version 1 says `{value.strip().lower()}`"


def test_what_is_neither_yes_nor_no_is_no_answer(registry):
    registry.set_tag("shoes", 1, APPROVAL_TAG, "perhaps")
    assert find_answer(registry, "shoes", 1) is None


def test_whoever_points_a_slot_to_it_has_approved_it(registry):
    ask(registry, "shoes", 1)
    registry.set_alias("shoes", "favourite", 1)
    assert find_answer(registry, "shoes", 1) is None
    registry.set_alias("shoes", "slot-2", 1)
    assert find_answer(registry, "shoes", 1).approved


def test_a_rejection_counts_more_than_an_alias(registry):
    registry.set_alias("shoes", "slot-1", 1)
    registry.set_tag("shoes", 1, APPROVAL_TAG, "rejected")
    assert not find_answer(registry, "shoes", 1).approved


def test_a_deleted_version_is_rejected_and_never_asked_for(registry):
    answer = find_answer(registry, "shoes", 2)
    assert (answer.approved, answer.reason) == (False, "version 2 was deleted from the registry")
    expire(registry, "shoes", 2)
    with pytest.raises(NotFoundError):
        ask(registry, "shoes", 2)


@pytest.mark.parametrize("answer", ["approved", "rejected"])
def test_an_answer_given_before_the_question_or_after_the_time_stays(registry, answer):
    registry.set_tag("shoes", 1, APPROVAL_TAG, answer)
    ask(registry, "shoes", 1)
    expire(registry, "shoes", 1)
    assert said(registry) == answer


def test_one_that_nobody_answered_for_may_be_asked_for_again(registry):
    ask(registry, "shoes", 1)
    expire(registry, "shoes", 1)
    assert said(registry) == "expired"
    assert find_answer(registry, "shoes", 1) is None
    ask(registry, "shoes", 1)
    assert said(registry) == "waiting"
