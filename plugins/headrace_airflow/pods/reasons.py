"""Why a step's pod failed, and what to do about it."""

from __future__ import annotations

from typing import Any, NamedTuple

from kubernetes.client import ApiClient
from kubernetes.client.models import V1Pod

from headrace.adapters.kubernetes.pod_state import Cause, pod_end


class Reason(NamedTuple):
    """What happened, as a sentence's end (`the pod …`), and what to do about it."""

    what: str
    remedy: str = ""


_AGAIN = "Run it again."
_REMEDIES = {
    Cause.OUT_OF_MEMORY: "Raise its `resources.memory`.",
    Cause.DEADLINE: "Raise the dataset's `timeout_minutes` if it needs more time.",
    Cause.DISRUPTED: _AGAIN,
    Cause.DELETED: _AGAIN,
}
DELETED = Reason("was deleted", _AGAIN)


def why_failed(pod: V1Pod) -> Reason | None:
    """How a pod that runs no more ended, None when it ended well."""
    end = pod_end(as_json(pod))
    if end is None:
        return Reason(f"is {pod.status.phase}")
    return None if end.cause is Cause.DONE else Reason(end.how, _REMEDIES.get(end.cause, ""))


def as_json(pod: V1Pod) -> dict[str, Any]:
    """The pod as the API server stores it."""
    document: dict[str, Any] = ApiClient().sanitize_for_serialization(pod)
    return document
