"""Why a pod waits and how it ended, from documents as Kubernetes writes them."""

import pytest

from headrace.adapters.kubernetes.pod_state import Cause, has_started, pod_end, why_stuck, why_unscheduled

NO_CPU = "0/1 nodes are available: 1 Insufficient cpu."


AT_ITS_END = "2026-11-21T11:05:03Z"
"""Of the grace: the deletion was asked for in the second in which the container ended."""


def pod(phase="Running", *, state=None, conditions=(), deleted=None, **status):
    metadata = {"name": "p", "creationTimestamp": "2026-11-21T11:00:00Z"}
    if deleted:
        metadata |= {"deletionTimestamp": deleted, "deletionGracePeriodSeconds": 3}
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "c", "resources": {"limits": {"memory": "2Gi"}}}]},
        "status": {
            "phase": phase,
            "conditions": list(conditions),
            "containerStatuses": [{"name": "c", "state": state}] if state else [],
            **status,
        },
    }


def terminated(code, reason="Error", *, at="2026-11-21T11:05:00Z", message=None):
    return {"terminated": {"exitCode": code, "reason": reason, "finishedAt": at, "message": message}}


def waiting(reason, message=None):
    return {"waiting": {"reason": reason, "message": message}}


def scheduled(status, **more):
    return {"type": "PodScheduled", "status": status, **more}


def disrupted(reason, message):
    when = {"lastTransitionTime": "2026-11-21T11:04:00Z"}
    return {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message, **when}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (pod("Pending"), ""),
        (pod("Pending", conditions=[scheduled("False", reason="Unschedulable", message=NO_CPU)]), NO_CPU),
        (pod("Pending", conditions=[scheduled("False", reason="SchedulingGated")]), "SchedulingGated"),
        (pod("Pending", conditions=[scheduled("True")]), None),
    ],
)
def test_a_pod_without_a_node_has_the_schedulers_words(document, words):
    assert why_unscheduled(document) == words


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (pod("Pending", state=waiting("ErrImagePull", "not found")), "ErrImagePull: not found"),
        (pod("Pending", state=waiting("CreateContainerConfigError")), "CreateContainerConfigError"),
        (pod("Pending", state=waiting("ContainerCreating")), None),
        (pod("Pending"), None),
        (pod(state={"running": {}}), None),
    ],
)
def test_a_container_that_cannot_start_has_the_kubelets_words(document, words):
    assert why_stuck(document) == words


@pytest.mark.parametrize(
    ("state", "started"),
    [({"running": {}}, True), (terminated(1), True), (waiting("ErrImagePull"), False), (None, False)],
)
def test_a_container_has_started_when_there_is_a_log(state, started):
    assert has_started(pod(state=state)) is started


@pytest.mark.parametrize(
    ("document", "cause", "how"),
    [
        (pod("Succeeded", state=terminated(0, "Completed")), Cause.DONE, "ended well"),
        (pod(state=terminated(0, "Completed")), Cause.DONE, "ended well"),
        (pod("Failed", state=terminated(1)), Cause.EXIT, "ended with exit code 1"),
        (
            pod("Failed", state=terminated(128, "StartError", message="no such file")),
            Cause.EXIT,
            "ended with exit code 128: no such file",
        ),
        (pod("Failed", state=terminated(137)), Cause.SIGNAL, "was ended by SIGKILL"),
        (
            pod("Failed", state=terminated(137, "OOMKilled")),
            Cause.OUT_OF_MEMORY,
            "ran out of memory (OOMKilled, its limit is 2Gi)",
        ),
        (pod("Failed", reason="DeadlineExceeded", state=terminated(143)), Cause.DEADLINE, "took longer than it may"),
        (pod(deleted="2026-11-21T11:04:03Z", state={"running": {}}), Cause.DELETED, "was deleted"),
        (pod(deleted="2026-11-21T11:04:03Z", state=terminated(137)), Cause.DELETED, "was deleted"),
        (pod("Failed", deleted="2026-11-21T11:06:00Z", state=terminated(1)), Cause.EXIT, "ended with exit code 1"),
        (pod("Failed", deleted=AT_ITS_END, state=terminated(143)), Cause.DELETED, "was deleted"),
        (pod("Failed", deleted=AT_ITS_END, state=terminated(1)), Cause.EXIT, "ended with exit code 1"),
        (
            pod(conditions=[disrupted("PreemptionByScheduler", "default-scheduler: preempting to accommodate a pod")]),
            Cause.DISRUPTED,
            "was preempted by a pod of higher priority: default-scheduler: preempting to accommodate a pod",
        ),
        (
            pod("Failed", conditions=[disrupted("DeletionByTaintManager", "NoExecute taint")], state=terminated(143)),
            Cause.DISRUPTED,
            "lost its node: NoExecute taint",
        ),
        (
            pod("Failed", reason="Evicted", message="The node was low on resource: memory.", state=terminated(137)),
            Cause.DISRUPTED,
            "was ended by its node: Evicted: The node was low on resource: memory.",
        ),
        (pod("Failed"), Cause.DISRUPTED, "was ended by its node, which does not say why"),
    ],
)
def test_how_a_pod_ended(document, cause, how):
    end = pod_end(document)
    assert (end.cause, end.how) == (cause, how)


@pytest.mark.parametrize("document", [pod("Pending"), pod("Pending", state=waiting("ErrImagePull")), pod(state={"running": {}})])
def test_a_pod_that_goes_on_has_no_end(document):
    assert pod_end(document) is None


def test_a_deleted_pod_ended_when_it_was_asked_to_not_when_its_grace_ran_out():
    end = pod_end(pod(deleted="2026-11-21T11:04:03Z", state=terminated(137, at="2026-11-21T11:04:03Z")))
    assert f"{end.at:%H:%M:%S}" == "11:04:00"
