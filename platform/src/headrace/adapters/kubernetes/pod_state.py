"""Why a pod waits, and how it ended, in the words of the scheduler, the kubelet or the kernel: read off its JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from headrace.render.worker_failure import describe_exit

Object = Mapping[str, Any]
"""What the API server stores, as JSON-like data."""

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


class Cause(StrEnum):
    """What ended a pod."""

    DONE = "done"
    EXIT = "exit"
    """Its program went by itself, badly."""
    SIGNAL = "signal"
    OUT_OF_MEMORY = "out of memory"
    DEADLINE = "deadline"
    """It took longer than its `activeDeadlineSeconds`."""
    DISRUPTED = "disrupted"
    """The scheduler, an eviction or its node took it."""
    DELETED = "deleted"
    """Somebody asked for it to go."""


@dataclass(frozen=True, kw_only=True)
class PodEnd:
    """How a pod of one container ended.

    Attributes:
        how: in words that follow its name: `ended with exit code 1`.
        at: when; a second's precision.
        code: its container's exit code, None when the container had none.
    """

    cause: Cause
    how: str
    at: datetime
    code: int | None = None


def why_unscheduled(pod: Object) -> str | None:
    """The scheduler's words when it finds no node, empty before it has looked; None when the pod has one."""
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "True":
        return None
    return str(scheduled.get("message") or scheduled.get("reason") or "")


def why_stuck(pod: Object) -> str | None:
    """Why a container does not start, in the kubelet's words; None when it has, or is merely on its way."""
    waiting = _container(pod).get("waiting") or {}
    if waiting.get("reason", "") in _ON_ITS_WAY or not waiting.get("reason"):
        return None
    return _joined(waiting["reason"], waiting.get("message"))


def has_started(pod: Object) -> bool:
    """Whether its container runs or has run, so that there is a log."""
    state = _container(pod)
    return state.get("running") is not None or state.get("terminated") is not None


def pod_end(pod: Object) -> PodEnd | None:
    """How a pod ended, or is about to when somebody has asked for that; None while it goes on."""
    status, terminated = pod.get("status", {}), _container(pod).get("terminated")
    ended = moment(terminated["finishedAt"]) if terminated and terminated.get("finishedAt") else None
    if status.get("phase") == "Succeeded":
        return PodEnd(cause=Cause.DONE, how="ended well", at=ended or _begin(pod), code=0)
    return _ended_from_outside(pod, ended) or (_exit(pod, terminated, ended or _begin(pod)) if terminated else _lost(pod))


def moment(text: str) -> datetime:
    """A time as the API server writes it."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _ended_from_outside(pod: Object, ended: datetime | None) -> PodEnd | None:
    """Before its program ended by itself, somebody ended it."""
    status, taken, disruption = pod.get("status", {}), _taken(pod["metadata"]), _condition(pod, "DisruptionTarget")
    if status.get("reason") == "DeadlineExceeded":
        return PodEnd(cause=Cause.DEADLINE, how="took longer than it may", at=ended or _begin(pod))
    if disruption.get("status") == "True":
        how = _DISRUPTIONS.get(disruption["reason"], f"was ended ({disruption['reason']})")
        at = min(filter(None, [taken, ended, moment(disruption["lastTransitionTime"])]))
        return PodEnd(cause=Cause.DISRUPTED, how=_joined(how, disruption.get("message")), at=at)
    if taken and (ended is None or taken < ended or (taken == ended and _by_signal(_container(pod)["terminated"]))):
        return PodEnd(cause=Cause.DELETED, how="was deleted", at=taken)
    if status.get("reason"):
        why = _joined(status["reason"], status.get("message"))
        return PodEnd(cause=Cause.DISRUPTED, how=f"was ended by its node: {why}", at=ended or _begin(pod))
    return None


def _exit(pod: Object, terminated: Object, at: datetime) -> PodEnd:
    code = int(terminated["exitCode"])
    if terminated.get("reason") == "OOMKilled":
        limit = pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get("memory", "unknown")
        how = f"ran out of memory (OOMKilled, its limit is {limit})"
        return PodEnd(cause=Cause.OUT_OF_MEMORY, how=how, at=at, code=code)
    if code == 0:
        return PodEnd(cause=Cause.DONE, how="ended well", at=at, code=code)
    cause = Cause.SIGNAL if _by_signal(terminated) else Cause.EXIT
    return PodEnd(cause=cause, how=_joined(describe_exit(code), terminated.get("message")), at=at, code=code)


def _by_signal(terminated: Object) -> bool:
    """Whether a signal ended it, as a deletion's does. That tells, where both fell into one second: times are no finer."""
    return int(terminated["exitCode"]) > _SIGNAL_EXIT


def _lost(pod: Object) -> PodEnd | None:
    if pod.get("status", {}).get("phase") != "Failed":
        return None
    return PodEnd(cause=Cause.DISRUPTED, how="was ended by its node, which does not say why", at=_begin(pod))


def _begin(pod: Object) -> datetime:
    return moment(pod.get("status", {}).get("startTime") or pod["metadata"]["creationTimestamp"])


def _taken(metadata: Object) -> datetime | None:
    """When somebody asked for the pod's deletion; its timestamp is when the grace given to it ends."""
    if not metadata.get("deletionTimestamp"):
        return None
    return moment(metadata["deletionTimestamp"]) - timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)


def _container(pod: Object) -> Object:
    """The state of its one container, as far as it is known."""
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    state: Object = statuses[0].get("state") or {}
    return state


def _condition(pod: Object, kind: str) -> Object:
    conditions = pod.get("status", {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


def _joined(first: str, second: str | None) -> str:
    return f"{first}: {second}" if second else first
