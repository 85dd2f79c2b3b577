"""Why a step's pod failed and what to do, and how long it is waited for."""

import json
from types import SimpleNamespace

import kubernetes.client
import pytest

from headrace.errors import StepFailedError
from headrace_airflow.pods.patience import Obstacle, Patience
from headrace_airflow.pods.reasons import why_failed


def pod(phase, code=None, why="Error", **status):
    state = {"terminated": {"exitCode": code, "reason": why, "finishedAt": "2026-11-21T11:05:00Z"}}
    containers = [{"name": "step", "state": state, "ready": False, "restartCount": 0, "image": "i", "imageID": ""}]
    document = {
        "metadata": {"creationTimestamp": "2026-11-21T11:00:00Z"},
        "spec": {"containers": [{"name": "step", "resources": {"limits": {"memory": "1Gi"}}}]},
        "status": {"phase": phase, "containerStatuses": containers if code is not None else [], **status},
    }
    return kubernetes.client.ApiClient().deserialize(SimpleNamespace(data=json.dumps(document)), "V1Pod")


@pytest.mark.parametrize(
    ("ended", "what", "remedy"),
    [
        (pod("Failed", 137, "OOMKilled"), "ran out of memory (OOMKilled, its limit is 1Gi)", "`resources.memory`"),
        (pod("Failed", 143, reason="DeadlineExceeded"), "took longer than it may", "`timeout_minutes`"),
        (pod("Failed", reason="Evicted"), "was ended by its node: Evicted", "again"),
        (pod("Failed", 3), "ended with exit code 3", ""),
        (pod("Pending"), "is Pending", ""),
    ],
)
def test_a_failed_pod_says_how_and_what_to_do(ended, what, remedy):
    found = why_failed(ended)
    assert found.what == what
    assert remedy in found.remedy


def test_a_pod_that_ended_well_has_no_reason():
    assert why_failed(pod("Succeeded", 0, "Completed")) is None


class Waiting:
    """Patience with a clock that the test moves."""

    def __init__(self):
        self.seconds, self.said = 0, []
        self.patience = Patience("pod ml/x", self.said.append, now=lambda: self.seconds)

    def bear(self, kind, words, *, after=0, within=10):
        self.seconds += after
        self.patience.bear(Obstacle(kind, words, within, "Add nodes.") if kind else None)


def test_an_obstacle_is_said_once_and_again_when_its_words_change():
    waiting = Waiting()
    for words in ("no cpu", "no cpu", "no memory"):
        waiting.bear("unscheduled", words)
    assert waiting.said == ["pod ml/x waits: no cpu", "pod ml/x waits: no memory"]


def test_an_obstacle_that_lasts_too_long_is_the_error_whatever_its_words():
    waiting = Waiting()
    waiting.bear("unscheduled", "no cpu")
    waiting.bear("unscheduled", "no memory", after=10)
    with pytest.raises(StepFailedError, match=r"did not start within 10 s: no cpu \(at pod ml/x\)\. Add nodes\."):
        waiting.bear("unscheduled", "no cpu", after=1)


def test_another_obstacle_or_none_starts_the_clock_anew():
    waiting = Waiting()
    waiting.bear("unscheduled", "no cpu")
    waiting.bear("stuck", "no image", after=9)
    waiting.bear(None, None, after=9)
    waiting.bear("unscheduled", "no cpu", after=9)
    waiting.bear("unscheduled", "no cpu", after=9)
