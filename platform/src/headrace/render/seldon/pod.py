"""The pod of a node on a cluster: a model is fetched and verified before its node starts, and replicas keep apart."""

from __future__ import annotations

from headrace.render.pod import SCRATCH_VOLUME, Manifest, pod_security
from headrace.render.seldon.container import MODELS_VOLUME, container, grace_seconds
from headrace.render.seldon.fetch import fetch_container
from headrace.render.seldon.node import Node
from headrace.render.seldon.target import ClusterTarget, ServingTarget
from headrace.specs.serving import EnsembleSpec

GRAPH_LABEL = "headrace.dev/graph"
NODE_LABEL = "headrace.dev/node"


def labels(node: Node, graph_name: str) -> dict[str, str]:
    """What a node's pods are found by, beside the operator's own labels."""
    return {"app.kubernetes.io/part-of": "headrace", GRAPH_LABEL: graph_name, NODE_LABEL: node.name}


def pod(node: Node, ensemble: EnsembleSpec, target: ServingTarget, cluster: ClusterTarget, *, graph_name: str) -> Manifest:
    """The pod's spec."""
    fetches = {"initContainers": [fetch_container(node.member, ensemble, target, cluster)]} if node.member else {}
    models = [{"name": MODELS_VOLUME, "emptyDir": {}}] if node.member else []
    return {
        **({"priorityClassName": cluster.priority_class} if cluster.priority_class else {}),
        "terminationGracePeriodSeconds": grace_seconds(target),
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "securityContext": pod_security(),
        "topologySpreadConstraints": [_apart(node, graph_name)],
        **fetches,
        "containers": [container(node, ensemble, target, cluster)],
        "volumes": [SCRATCH_VOLUME, *models],
    }


def _apart(node: Node, graph_name: str) -> Manifest:
    """Replicas of a node go to different machines where there are several."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels(node, graph_name)},
    }
