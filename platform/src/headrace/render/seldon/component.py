"""A node's componentSpec: a process on one machine, a Deployment of pods on a cluster."""

from __future__ import annotations

from headrace.render.pod import Manifest
from headrace.render.seldon.container import environment
from headrace.render.seldon.node import Node, combiner_node
from headrace.render.seldon.pod import labels, pod
from headrace.render.seldon.target import ServingTarget
from headrace.specs.serving import Autoscaling, EnsembleSpec


def component(node: Node, ensemble: EnsembleSpec, target: ServingTarget, *, graph_name: str) -> Manifest:
    """The componentSpec of a node of the graph with that name."""
    if target.cluster is None:
        env = [{"name": key, "value": value} for key, value in environment(node).items()]
        return {"replicas": ensemble.replicas, "spec": {"containers": [{"name": node.name, "image": target.image, "env": env}]}}
    return {
        "metadata": {"labels": labels(node, graph_name)},
        **_scale(ensemble),
        **_disruptions(node, ensemble),
        "spec": pod(node, ensemble, target, target.cluster, graph_name=graph_name),
    }


def _scale(ensemble: EnsembleSpec) -> Manifest:
    if ensemble.autoscaling is None:
        return {"replicas": ensemble.replicas}
    return {"hpaSpec": _autoscaler(ensemble.replicas, ensemble.autoscaling)}


def _autoscaler(fewest: int, autoscaling: Autoscaling) -> Manifest:
    target = {"type": "Utilization", "averageUtilization": autoscaling.cpu_percent}
    return {
        "minReplicas": fewest,
        "maxReplicas": autoscaling.max_replicas,
        "metricsv2": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }


def _disruptions(node: Node, ensemble: EnsembleSpec) -> Manifest:
    """On what serves' root alone: the operator's PodDisruptionBudget covers all pods of a graph, and a pod may have only one."""
    if ensemble.max_unavailable is None or node != combiner_node(ensemble):
        return {}
    return {"pdbSpec": {"maxUnavailable": ensemble.max_unavailable}}
