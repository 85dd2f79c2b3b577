"""What a Job, its pods and the namespace's quotas say, read off their JSON. Pure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from headrace.errors import PeerLostError
from headrace.ports.worker_pods import Amounts, Ending, EndingKind, JobPhase, JobState, Quota, WorkerPod
from headrace.render.job import QUEUE_LABEL
from headrace.render.worker_failure import describe_exit

OWNER_ANNOTATION = "headrace.dev/followed-by"
POSITIONS_ANNOTATION = "headrace.dev/log-positions"
RANK_LABEL = "batch.kubernetes.io/job-completion-index"
Object = Mapping[str, Any]

_ON_ITS_WAY = frozenset({"ContainerCreating", "PodInitializing"})
_SIGNAL_EXIT = 128
_DISRUPTIONS = {
    "PreemptionByScheduler": "was preempted by a pod of higher priority",
    "EvictionByEvictionAPI": "was evicted",
    "DeletionByTaintManager": "lost its node",
    "DeletionByPodGC": "lost its node",
    "TerminationByKubelet": "was ended by its node",
}
"""https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions"""


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
        admitted=_moment(status["startTime"]) if status.get("startTime") else None,
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
    metadata, status = pod["metadata"], pod.get("status", {})
    container: Object = next(iter(status.get("containerStatuses", [])), {})
    state = container.get("state", {})
    return WorkerPod(
        rank=int(metadata["labels"][RANK_LABEL]),
        name=metadata["name"],
        started="running" in state or "terminated" in state,
        waits=_waits(status, state.get("waiting", {})),
        ending=_ending(pod, status, state.get("terminated")),
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


def _waits(status: Object, waiting: Object) -> str:
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason") or "")
    if waiting.get("reason", "") in _ON_ITS_WAY or not waiting:
        return ""
    return f"{waiting['reason']}: {waiting.get('message', '')}".removesuffix(": ")


def _ending(pod: Object, status: Object, terminated: Object | None) -> Ending | None:
    taken = _taken(pod["metadata"])
    ended = _moment(terminated["finishedAt"]) if terminated and terminated.get("finishedAt") else None
    disruption = next((each for each in status.get("conditions", []) if each["type"] == "DisruptionTarget"), None)
    if disruption and disruption["status"] == "True":
        how = _DISRUPTIONS.get(disruption["reason"], f"was ended ({disruption['reason']})")
        at = min(filter(None, [taken, ended, _moment(disruption["lastTransitionTime"])]))
        return Ending(kind=EndingKind.KILLED, how=f"{how}: {disruption.get('message', '')}".removesuffix(": "), at=at)
    if taken and (ended is None or taken < ended):
        return Ending(kind=EndingKind.DELETED, how="was deleted", at=taken)
    if terminated and ended:
        return _exit(pod, terminated, ended)
    if status.get("phase") == "Failed":
        why = ": ".join(filter(None, [status.get("reason"), status.get("message")])) or "its node does not say why"
        at = _moment(status.get("startTime") or pod["metadata"]["creationTimestamp"])
        return Ending(kind=EndingKind.KILLED, how=f"was ended by its node: {why}", at=at)
    return None


def _exit(pod: Object, terminated: Object, at: datetime) -> Ending:
    code = int(terminated["exitCode"])
    if terminated.get("reason") == "OOMKilled":
        limit = pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get("memory", "unknown")
        return Ending(kind=EndingKind.KILLED, how=f"ran out of memory (OOMKilled, its limit is {limit})", at=at)
    if code == 0:
        return Ending(kind=EndingKind.DONE, how="ended well", at=at)
    if code == PeerLostError.exit_code:
        return Ending(kind=EndingKind.PEER_LOST, how=f"missed a peer ({describe_exit(code)})", at=at)
    kind = EndingKind.KILLED if code > _SIGNAL_EXIT else EndingKind.EXIT
    return Ending(kind=kind, how=describe_exit(code), at=at)


def _taken(metadata: Object) -> datetime | None:
    """When somebody asked for the pod's deletion; its timestamp is when the grace given to it ends."""
    if "deletionTimestamp" not in metadata:
        return None
    return _moment(metadata["deletionTimestamp"]) - timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)


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


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
