"""Why a pod does not run, or ended badly, in the words of the scheduler, the kubelet or the kernel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kubernetes.client.models import V1ContainerStateTerminated, V1Pod, V1PodCondition

from headrace.render.worker_failure import describe_exit

_ON_ITS_WAY = frozenset({"ContainerCreating", "PodInitializing"})
_OUT_OF_MEMORY = "OOMKilled"


class Reason(NamedTuple):
    """What happened, as a sentence's end (`the pod …`), and what to do about it."""

    what: str
    remedy: str = ""


DELETED = Reason("was deleted while it ran", "Run it again.")


def why_unscheduled(pod: V1Pod) -> str | None:
    """The scheduler's own words; None when the pod has a node."""
    condition = _condition(pod, "PodScheduled")
    if condition is not None and condition.status == "True":
        return None
    return (condition and condition.message) or "the scheduler has not looked at it"


def why_stuck(pod: V1Pod) -> str | None:
    """Why a container of a pod that has a node does not start; None when it is merely on its way."""
    for status in pod.status.container_statuses or ():
        waiting = status.state.waiting
        if waiting is not None and waiting.reason and waiting.reason not in _ON_ITS_WAY:
            return f"{waiting.reason}: {waiting.message}" if waiting.message else waiting.reason
    return None


def why_failed(pod: V1Pod) -> Reason | None:
    """How an ended pod ended, None when it ended well."""
    if pod.status.phase == "Succeeded":
        return None
    return _ended_from_outside(pod) or next((_how(pod, each) for each in _terminated(pod)), Reason(f"is {pod.status.phase}"))


def _ended_from_outside(pod: V1Pod) -> Reason | None:
    disruption = _condition(pod, "DisruptionTarget")
    if pod.status.reason == "DeadlineExceeded":
        return Reason("took longer than it may", "Raise the dataset's `timeout_minutes` if it needs more time.")
    if disruption is not None and disruption.status == "True":
        return Reason(f"was taken away ({disruption.reason}: {disruption.message})", "Run it again.")
    if pod.metadata.deletion_timestamp is not None:
        return DELETED
    if pod.status.reason:
        return Reason(f"was ended by its node ({pod.status.reason}: {pod.status.message})", "Run it again.")
    return None


def _how(pod: V1Pod, terminated: V1ContainerStateTerminated) -> Reason:
    if terminated.reason == _OUT_OF_MEMORY:
        limit = pod.spec.containers[0].resources.limits["memory"]
        return Reason(f"used more memory than its limit of {limit} ({_OUT_OF_MEMORY})", "Raise its `resources.memory`.")
    said = f": {terminated.message}" if terminated.message else ""
    return Reason(f"{describe_exit(terminated.exit_code)}{said}")


def _terminated(pod: V1Pod) -> Iterable[V1ContainerStateTerminated]:
    for status in pod.status.container_statuses or ():
        if status.state.terminated is not None and status.state.terminated.exit_code:
            yield status.state.terminated


def _condition(pod: V1Pod, kind: str) -> V1PodCondition | None:
    return next((condition for condition in pod.status.conditions or () if condition.type == kind), None)
