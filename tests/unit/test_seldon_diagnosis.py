"""What keeps a node from being ready, read off its Deployment and pods."""

import pytest
from kubernetes.client import (
    V1Container,
    V1ContainerState,
    V1ContainerStateRunning,
    V1ContainerStateTerminated,
    V1ContainerStateWaiting,
    V1ContainerStatus,
    V1Deployment,
    V1DeploymentCondition,
    V1DeploymentStatus,
    V1ObjectMeta,
    V1Pod,
    V1PodCondition,
    V1PodSpec,
    V1PodStatus,
)

from headrace.adapters.seldon.diagnosis import troubles
from headrace.adapters.seldon.rollout import Part
from headrace.render.seldon.marks import MARK


def _part(*conditions):
    return Part("slot-1", "new", 1, V1Deployment(status=V1DeploymentStatus(conditions=list(conditions))))


def _pod(*, mark="new", node="slot-1", init=(), main=(), conditions=(), leaving=None):
    return V1Pod(
        metadata=V1ObjectMeta(name="p", annotations={MARK: mark}, deletion_timestamp=leaving),
        spec=V1PodSpec(containers=[V1Container(name=node)]),
        status=V1PodStatus(
            init_container_statuses=list(init),
            container_statuses=list(main),
            conditions=[V1PodCondition(**c) for c in conditions],
        ),
    )


def _container(state=None, *, last=None, restarts=0, ready=False, name="slot-1"):
    return V1ContainerStatus(
        name=name,
        image="i:1",
        image_id="",
        ready=ready,
        restart_count=restarts,
        state=state or V1ContainerState(),
        last_state=last,
    )


def _ended(code, reason="Error"):
    return V1ContainerState(terminated=V1ContainerStateTerminated(exit_code=code, reason=reason))


def _waits(reason, message=""):
    return V1ContainerState(waiting=V1ContainerStateWaiting(reason=reason, message=message))


RUNS = V1ContainerState(running=V1ContainerStateRunning())
NO_PLACE = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient cpu."}


@pytest.mark.parametrize(
    ("pod", "says", "hopeless"),
    [
        (_pod(conditions=[NO_PLACE]), "has no place: 0/1 nodes", False),
        (
            _pod(main=[_container(_waits("ImagePullBackOff", "absent"))]),
            "has no image i:1 (ImagePullBackOff): absent",
            True,
        ),
        (_pod(main=[_container(_waits("CreateContainerConfigError", "no secret"))]), "cannot be made", True),
        (_pod(main=[_container(_ended(137, "OOMKilled"))]), "ended with code 137 (OOMKilled), 0 restart(s)", False),
        (_pod(main=[_container(_waits("CrashLoopBackOff"), last=_ended(1), restarts=2)]), "code 1 (Error), 2 restart(s)", True),
        (_pod(init=[_container(_ended(1), name="fetch-model")]), "container fetch-model of pod p ended with code 1", False),
        (_pod(main=[_container(RUNS)]), "runs and is not ready", False),
        (_pod(main=[_container(RUNS, last=_ended(1), restarts=1)]), "ended with code 1", False),
    ],
)
def test_a_pods_trouble_is_told_and_weighed(pod, says, hopeless):
    trouble = troubles(_part(), [pod])[0]
    assert says in trouble.why
    assert trouble.hopeless is hopeless


@pytest.mark.parametrize(
    "pod",
    [
        _pod(main=[_container(RUNS, ready=True)]),
        _pod(main=[_container(RUNS, ready=True, last=_ended(1), restarts=3)]),
        _pod(init=[_container(RUNS, name="fetch-model")], main=[_container(_waits("PodInitializing"))]),
        _pod(init=[_container(_ended(0), name="fetch-model")], main=[_container(_waits("ContainerCreating"))]),
        _pod(mark="former", main=[_container(_ended(1))]),
        _pod(node="slot-2", main=[_container(_ended(1))]),
        _pod(leaving="2026-11-21T12:00:00Z", main=[_container(_ended(1))]),
    ],
)
def test_what_is_on_its_way_or_of_no_concern_is_no_trouble(pod):
    assert troubles(_part(), [pod]) == []


@pytest.mark.parametrize(
    ("message", "hopeless"),
    [('pods "p" is forbidden: exceeded quota: q', False), ('pods "p" is forbidden: violates PodSecurity "restricted"', True)],
)
def test_pods_that_cannot_be_made_are_told_in_the_api_servers_words(message, hopeless):
    condition = V1DeploymentCondition(type="ReplicaFailure", status="True", message=message)
    (trouble,) = troubles(_part(condition), [])
    assert message in trouble.why
    assert trouble.hopeless is hopeless
