"""The place that serves: what it decides about every node."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from headrace.specs.base import Spec


class ClusterTarget(Spec):
    """What is said of nodes that run in pods, and makes no sense of processes on one machine."""

    pull_policy: str = "IfNotPresent"
    store: Mapping[str, str] = Field(default_factory=dict)
    """Where the store is: plain variables (HEADRACE_MINIO__ENDPOINT and the like) of what fetches a model."""
    secrets: tuple[str, ...] = ()
    """Secrets whose keys become its variables, too: credentials that may only read."""
    priority_class: str | None = None
    """Of all nodes, above that of training."""


class ServingTarget(Spec):
    """Where graphs run."""

    namespace: str
    image: str = "headrace/serving:0.1.0"
    rest_timeout_ms: int = Field(default=10_000, ge=1)
    """How long one node may take over one request."""
    mirrors: bool = True
    """Whether a `shadow` predictor is sent copies of the requests there. Seldon leaves that to a service mesh."""
    cluster: ClusterTarget | None = None
    """None for the embedded engine: nodes are processes of this machine and read models from its folders."""
