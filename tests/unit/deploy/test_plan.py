"""What must be done, and what differs, between what serves and what should."""

import pytest

from headrace.usecases.deploy.plan import RolloutStep, differences, plan

PREVIEW, APPLY, VERIFY = RolloutStep


def document(**spec):
    return {"metadata": {"name": "shoes"}, "spec": spec}


@pytest.mark.parametrize(
    ("live", "current", "steps"),
    [
        (False, None, (PREVIEW, APPLY, VERIFY)),
        (False, document(replicas=1), (PREVIEW, APPLY, VERIFY)),
        (False, document(replicas=2), (APPLY, VERIFY)),
        (True, None, (APPLY, VERIFY)),
        (True, document(replicas=1), (APPLY, VERIFY)),
        (True, document(replicas=2), ()),
    ],
)
def test_a_graph_proves_itself_once_and_is_left_alone_when_it_is_as_wanted(live, current, steps):
    assert plan(live=live, current=current, wanted=document(replicas=2)) == steps


@pytest.mark.parametrize(
    ("current", "wanted", "text"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, "spec.b was 2, not 3"),
        ({"a": [{"b": "x"}, 1]}, {"a": [{"b": "y"}, 1]}, "spec.a[0].b was 'x', not 'y'"),
        ({"a": [1, 2]}, {"a": [1]}, "spec.a was 2 long, not 1 long"),
        ({"a": {"b": 1}}, {}, "spec.a was there, not None"),
        (
            dict.fromkeys("abcdefg", 1),
            dict.fromkeys("abcdefg", 2),
            "spec.a was 1, not 2; spec.b was 1, not 2; spec.c was 1, not 2; spec.d was 1, not 2; spec.e was 1, not 2; and 2 more",
        ),
    ],
)
def test_differences_are_told_by_place(current, wanted, text):
    assert differences(document(**current), document(**wanted)) == text
