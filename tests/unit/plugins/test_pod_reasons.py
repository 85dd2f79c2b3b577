"""Why a pod does not run or ended badly, from what Kubernetes itself wrote into pods."""

import json
from types import SimpleNamespace

import kubernetes.client
import pytest

from headrace.errors import StepFailedError
from headrace_airflow.pods.patience import Obstacle, Patience
from headrace_airflow.pods.reasons import why_failed, why_stuck, why_unscheduled

NO_CPU = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found."


def pod(phase, *, state=None, conditions=(), deleted=None, **status):
    containers = (
        [{"name": "step", "state": state, "ready": False, "restartCount": 0, "image": "i", "imageID": ""}] if state else []
    )
    document = {
        "metadata": {"deletionTimestamp": deleted},
        "spec": {"containers": [{"name": "step", "resources": {"limits": {"memory": "1Gi"}}}]},
        "status": {"phase": phase, "conditions": list(conditions), "containerStatuses": containers, **status},
    }
    return kubernetes.client.ApiClient().deserialize(SimpleNamespace(data=json.dumps(document)), "V1Pod")


def condition(kind, status, **more):
    return {"type": kind, "status": status, **more}


SCHEDULED = condition("PodScheduled", "True")


def terminated(code, reason):
    return {"terminated": {"exitCode": code, "reason": reason}}


def waiting(reason, message=None):
    return {"waiting": {"reason": reason, "message": message}}


def test_a_pod_without_a_node_has_the_schedulers_words():
    unscheduled = condition("PodScheduled", "False", reason="Unschedulable", message=NO_CPU)
    assert why_unscheduled(pod("Pending", conditions=[unscheduled])) == NO_CPU
    assert why_unscheduled(pod("Pending")) == "the scheduler has not looked at it"
    assert why_unscheduled(pod("Pending", conditions=[SCHEDULED])) is None


def test_a_container_that_cannot_start_has_the_kubelets_words():
    stuck = pod("Pending", conditions=[SCHEDULED], state=waiting("ErrImagePull", "not found"))
    assert why_stuck(stuck) == "ErrImagePull: not found"
    assert why_stuck(pod("Pending", state=waiting("CreateContainerConfigError"))) == "CreateContainerConfigError"
    assert why_stuck(pod("Pending", state=waiting("ContainerCreating"))) is None
    assert why_stuck(pod("Pending")) is None


@pytest.mark.parametrize(
    ("ended", "what"),
    [
        (pod("Failed", state=terminated(137, "OOMKilled")), "used more memory than its limit of 1Gi (OOMKilled)"),
        (pod("Failed", state=terminated(3, "Error")), "ended with exit code 3"),
        (pod("Failed", state=terminated(137, "Error")), "was ended by SIGKILL"),
        (pod("Failed", state=terminated(143, "Error"), deleted="2026-11-21T11:00:00Z"), "was deleted while it ran"),
        (pod("Failed", reason="DeadlineExceeded", state=terminated(143, "Error")), "took longer than it may"),
        (
            pod(
                "Failed",
                state=terminated(143, "Error"),
                conditions=[condition("DisruptionTarget", "True", reason="PreemptionByScheduler", message="for serving")],
            ),
            "was taken away (PreemptionByScheduler: for serving)",
        ),
        (pod("Failed", reason="Evicted", message="low on disk"), "was ended by its node (Evicted: low on disk)"),
        (pod("Pending"), "is Pending"),
    ],
)
def test_an_ended_pod_says_how(ended, what):
    assert why_failed(ended).what == what


def test_a_pod_that_ended_well_has_no_reason():
    assert why_failed(pod("Succeeded", state=terminated(0, "Completed"))) is None


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
