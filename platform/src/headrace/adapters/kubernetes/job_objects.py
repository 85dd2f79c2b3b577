"""What a Job, its pods and the namespace's quotas say, read off their JSON. Pure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

from kubernetes.utils.quantity import parse_quantity

from headrace.adapters.kubernetes.pod_state import Cause, Object, has_started, moment, pod_end, why_stuck, why_unscheduled
from headrace.errors import PeerLostError
from headrace.ports.worker_pods import Amounts, Ending, EndingKind, JobPhase, JobState, Quota, WorkerPod
from headrace.render.job import QUEUE_LABEL

OWNER_ANNOTATION = "headrace.dev/followed-by"
POSITIONS_ANNOTATION = "headrace.dev/log-positions"
RANK_LABEL = "batch.kubernetes.io/job-completion-index"

_ENDINGS = {Cause.DONE: EndingKind.DONE, Cause.EXIT: EndingKind.EXIT, Cause.DELETED: EndingKind.DELETED}


def job_state(job: Object) -> JobState:
    """The state of a Job."""
    metadata, spec, status = job["metadata"], job["spec"], job.get("status", {})
    annotations = metadata.get("annotations", {})
    phase, reason = _phase(spec, status)
    return JobState(
        uid=metadata["uid"],
        phase=phase,
        needs=job_needs(job, spec["parallelism"]),
        queue=metadata.get("labels", {}).get(QUEUE_LABEL, ""),
        owner=annotations.get(OWNER_ANNOTATION, ""),
        admitted=moment(status["startTime"]) if status.get("startTime") else None,
        reason=reason,
        positions={int(rank): at for rank, at in json.loads(annotations.get(POSITIONS_ANNOTATION, "{}")).items()},
        deleting="deletionTimestamp" in metadata,
    )


def job_needs(job: Object, pods: int) -> Amounts:
    """What so many pods of a Job ask of a quota. A quota may call `requests.cpu` and `requests.memory` by their short names."""
    needs: dict[str, Decimal] = {"pods": Decimal(pods), "count/pods": Decimal(pods)}
    for container in job["spec"]["template"]["spec"]["containers"]:
        resources = container.get("resources", {})
        limits = resources.get("limits", {})
        for resource, amount in {**limits, **resources.get("requests", {})}.items():
            needs[f"requests.{resource}"] = needs.get(f"requests.{resource}", Decimal(0)) + pods * parse_quantity(amount)
        for resource, amount in limits.items():
            needs[f"limits.{resource}"] = needs.get(f"limits.{resource}", Decimal(0)) + pods * parse_quantity(amount)
    for short in ("cpu", "memory"):
        if f"requests.{short}" in needs:
            needs[short] = needs[f"requests.{short}"]
    return needs


def worker_pod(pod: Object) -> WorkerPod:
    """The state of a worker's pod."""
    metadata = pod["metadata"]
    return WorkerPod(
        rank=int(metadata["labels"][RANK_LABEL]),
        name=metadata["name"],
        started=has_started(pod),
        waits=why_unscheduled(pod) or why_stuck(pod) or "",
        ending=_ending(pod),
    )


def quotas_of(job: Object, quotas: Iterable[Object], jobs: Iterable[Object]) -> list[Quota]:
    """The quotas that count for a Job's pods.

    Args:
        job: a suspended one.
        quotas: all ResourceQuotas of its namespace.
        jobs: all training Jobs of its namespace; pods that those already admitted have yet to create count as used.
    """
    promised: dict[str, Decimal] = defaultdict(Decimal)
    for other in jobs:
        if other["metadata"]["uid"] != job["metadata"]["uid"]:
            for resource, amount in job_needs(other, _uncreated(other)).items():
                promised[resource] += amount
    return [_quota(quota, promised) for quota in quotas if _counts(quota["spec"], job["spec"]["template"]["spec"])]


def _phase(spec: Object, status: Object) -> tuple[JobPhase, str]:
    conditions = {each["type"]: each for each in status.get("conditions", []) if each["status"] == "True"}
    # A pod on a lost node may take minutes to go, and the Job is called Failed only then; that it will be is said at once.
    failed = conditions.get("FailureTarget") or conditions.get("Failed")
    if failed:
        return JobPhase.FAILED, f"{failed.get('reason', '')}: {failed.get('message', '')}"
    if "Complete" in conditions:
        return JobPhase.SUCCEEDED, ""
    return (JobPhase.SUSPENDED if spec.get("suspend") else JobPhase.ACTIVE), ""


def _ending(pod: Object) -> Ending | None:
    end = pod_end(pod)
    if end is None:
        return None
    if end.code == PeerLostError.exit_code:
        return Ending(kind=EndingKind.PEER_LOST, how=f"missed a peer ({end.how})", at=end.at)
    return Ending(kind=_ENDINGS.get(end.cause, EndingKind.KILLED), how=end.how, at=end.at)


def _uncreated(job: Object) -> int:
    """How many pods an admitted Job will still create."""
    status = job.get("status", {})
    phase, _ = _phase(job["spec"], status)
    if phase is not JobPhase.ACTIVE:
        return 0
    known = sum(status.get(count, 0) for count in ("active", "succeeded", "failed"))
    return int(max(0, job["spec"]["parallelism"] - known))


def _quota(quota: Object, promised: Mapping[str, Decimal]) -> Quota:
    status = quota.get("status", {})
    hard = {resource: parse_quantity(amount) for resource, amount in status.get("hard", {}).items()}
    used = {resource: parse_quantity(amount) for resource, amount in status.get("used", {}).items()}
    return Quota(
        name=quota["metadata"]["name"],
        hard=hard,
        used={resource: used.get(resource, Decimal(0)) + promised.get(resource, Decimal(0)) for resource in hard},
    )


def _counts(quota: Object, pod: Object) -> bool:
    """Whether a quota's scopes take in a pod that has requests and no deadline of its own.

    https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes
    """
    selectors = [{"scopeName": scope, "operator": "Exists"} for scope in quota.get("scopes", [])]
    selectors += quota.get("scopeSelector", {}).get("matchExpressions", [])
    return all(_matches(selector, pod.get("priorityClassName")) for selector in selectors)


def _matches(selector: Object, priority_class: str | None) -> bool:
    if selector["scopeName"] != "PriorityClass":
        return selector["scopeName"] in {"NotTerminating", "NotBestEffort"}
    values = selector.get("values", [])
    match selector["operator"]:
        case "In":
            return priority_class in values
        case "NotIn":
            return priority_class not in values
        case "Exists":
            return priority_class is not None
        case _:
            return priority_class is None
