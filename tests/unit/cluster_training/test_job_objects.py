"""What is read off a Job, its pods and quotas, from documents as Kubernetes writes them."""

from decimal import Decimal

import pytest

from headrace.adapters.kubernetes.job_objects import job_needs, job_state, quotas_of, worker_pod
from headrace.adapters.kubernetes.worker_pods import _in_utc
from headrace.ports.worker_pods import EndingKind, JobPhase

NO_CPU = "0/1 nodes are available: 1 Insufficient cpu."


def pod(*, state=None, conditions=(), deleted=None):
    metadata = {
        "name": "train-1-abcde",
        "labels": {"batch.kubernetes.io/job-completion-index": "1"},
        "creationTimestamp": "2026-11-21T11:00:00Z",
    }
    if deleted:
        metadata |= {"deletionTimestamp": deleted, "deletionGracePeriodSeconds": 3}
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "worker", "resources": {"limits": {"memory": "2Gi"}}}]},
        "status": {
            "phase": "Running",
            "conditions": list(conditions),
            "containerStatuses": [{"name": "worker", "state": state or {}}],
        },
    }


def terminated(code, reason="Error"):
    return {"terminated": {"exitCode": code, "reason": reason, "finishedAt": "2026-11-21T11:05:00Z"}}


@pytest.mark.parametrize(
    ("document", "kind", "how"),
    [
        (pod(state=terminated(0, "Completed")), EndingKind.DONE, "ended well"),
        (pod(state=terminated(1)), EndingKind.EXIT, "ended with exit code 1"),
        (pod(state=terminated(6)), EndingKind.PEER_LOST, "missed a peer (ended with exit code 6)"),
        (pod(state=terminated(137)), EndingKind.KILLED, "was ended by SIGKILL"),
        (pod(state=terminated(137, "OOMKilled")), EndingKind.KILLED, "ran out of memory (OOMKilled, its limit is 2Gi)"),
        (pod(deleted="2026-11-21T11:04:03Z", state=terminated(137)), EndingKind.DELETED, "was deleted"),
    ],
)
def test_how_a_worker_ended(document, kind, how):
    ending = worker_pod(document).ending
    assert (ending.kind, ending.how) == (kind, how)


@pytest.mark.parametrize(
    ("document", "started", "waits"),
    [
        (pod(), False, ""),
        (pod(conditions=[{"type": "PodScheduled", "status": "False", "message": NO_CPU}]), False, NO_CPU),
        (pod(state={"waiting": {"reason": "ErrImagePull", "message": "not found"}}), False, "ErrImagePull: not found"),
        (pod(state={"running": {}}), True, ""),
    ],
)
def test_what_a_worker_waits_for(document, started, waits):
    worker = worker_pod(document)
    assert (worker.rank, worker.started, worker.waits, worker.ending) == (1, started, waits, None)


def job(*, uid="u-1", parallelism=2, priority_class=None, suspend=True, **status):
    resources = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi", "nvidia.com/gpu": "1"}}
    spec = {"containers": [{"name": "worker", "resources": resources}]}
    if priority_class:
        spec["priorityClassName"] = priority_class
    return {
        "metadata": {"name": "train", "uid": uid},
        "spec": {"parallelism": parallelism, "suspend": suspend, "template": {"spec": spec}},
        "status": status,
    }


def condition(kind, reason="", message=""):
    return {"type": kind, "status": "True", "reason": reason, "message": message}


@pytest.mark.parametrize(
    ("document", "phase", "reason"),
    [
        (job(), JobPhase.SUSPENDED, ""),
        (job(suspend=False), JobPhase.ACTIVE, ""),
        (job(suspend=False, conditions=[condition("SuccessCriteriaMet"), condition("Complete")]), JobPhase.SUCCEEDED, ""),
        (
            job(suspend=False, conditions=[condition("FailureTarget", "BackoffLimitExceeded", "reached")]),
            JobPhase.FAILED,
            "BackoffLimitExceeded: reached",
        ),
        (
            job(suspend=False, conditions=[condition("Failed", "DeadlineExceeded", "too long")]),
            JobPhase.FAILED,
            "DeadlineExceeded: too long",
        ),
    ],
)
def test_how_far_a_job_is(document, phase, reason):
    state = job_state(document)
    assert (state.phase, state.reason) == (phase, reason)


def test_what_all_pods_of_a_job_need():
    assert job_needs(job(), 2) == {
        "pods": 2,
        "count/pods": 2,
        "requests.cpu": 1,
        "cpu": 1,
        "requests.memory": 2 * 2**30,
        "memory": 2 * 2**30,
        "limits.memory": 2 * 2**30,
        "requests.nvidia.com/gpu": 2,
        "limits.nvidia.com/gpu": 2,
    }


def quota(name="jobs", *, hard=None, used=None, **spec):
    hard = hard or {"requests.cpu": "4"}
    return {"metadata": {"name": name}, "spec": spec, "status": {"hard": hard, "used": used or {}}}


def test_pods_that_an_admitted_job_has_yet_to_create_count_as_used():
    admitted = job(uid="u-2", suspend=False, active=1)
    waiting = job(uid="u-3")
    over = job(uid="u-4", suspend=False, conditions=[condition("Complete")])
    (found,) = quotas_of(job(), [quota(used={"requests.cpu": "1500m"})], [job(), admitted, waiting, over])
    assert found.used == {"requests.cpu": Decimal(2)}
    assert found.hard == {"requests.cpu": Decimal(4)}


def _scope(operator, *values):
    expression = {"scopeName": "PriorityClass", "operator": operator, **({"values": list(values)} if values else {})}
    return {"scopeSelector": {"matchExpressions": [expression]}}


@pytest.mark.parametrize(
    ("spec", "counts"),
    [
        ({}, True),
        ({"scopes": ["NotBestEffort"]}, True),
        ({"scopes": ["BestEffort"]}, False),
        ({"scopes": ["Terminating"]}, False),
        (_scope("In", "training"), True),
        (_scope("In", "serving"), False),
        (_scope("NotIn", "serving"), True),
        (_scope("Exists"), True),
        (_scope("DoesNotExist"), False),
    ],
)
def test_only_quotas_whose_scope_takes_the_job_in_count(spec, counts):
    found = quotas_of(job(priority_class="training"), [quota(**spec)], [])
    assert bool(found) is counts


def test_moments_of_lines_compare_as_texts_whatever_the_nodes_zone():
    assert _in_utc("2026-11-21T11:00:00.000000001Z") == "2026-11-21T11:00:00.000000001Z"
    assert _in_utc("2026-11-21T12:00:00.000000001+01:00") == "2026-11-21T11:00:00.000000001Z"
