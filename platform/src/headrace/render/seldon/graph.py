"""The graph that a request walks: a combiner over one model node a slot, or a router over two of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from headrace.render.pod import Manifest
from headrace.render.seldon.node import Branch, Node, combiner_node, model_folder, model_node
from headrace.render.seldon.target import ServingTarget
from headrace.specs.serving import EnsembleSpec, SlotMember

ROUTER = "canary"
"""The node that draws lots, for each request, which of two ensembles answers it."""


def graph(ensemble: EnsembleSpec, members: Sequence[SlotMember], target: ServingTarget) -> Manifest:
    """The root unit, with the models below it."""
    return {**combination(ensemble, members, target), **_logger(ensemble, target)}


def routed(
    ensemble: EnsembleSpec, members: Sequence[SlotMember], new: Sequence[SlotMember], target: ServingTarget, *, share: float
) -> Manifest:
    """A router over what serves and what is new, which gets the share.

    The executor draws the lots itself: the unit has no container, and no type, for a ROUTER's it would ask. It reads `ratioA`,
    the first child's share, only when that is the one parameter. Source: executor/predictor/components.go, Seldon Core 1.17.1.
    """
    ratio = {"name": "ratioA", "type": "FLOAT", "value": f"{1 - share:.6g}"}
    children = [combination(ensemble, members, target), combination(ensemble, new, target, Branch.NEW)]
    root = {"name": ROUTER, "implementation": "RANDOM_ABTEST", "endpoint": {"type": "REST"}, "children": children}
    return {**root, "parameters": [ratio], **_logger(ensemble, target)}


def combination(
    ensemble: EnsembleSpec, members: Sequence[SlotMember], target: ServingTarget, branch: Branch = Branch.SERVING
) -> Manifest:
    """A combiner, with its models below it."""
    nodes = [(model_node(member, branch), member) for member in members]
    children = [_unit(node, parameters=_parameters(node, member, ensemble, target)) for node, member in nodes]
    return _unit(combiner_node(ensemble, branch), children=children, parameters=_weights(members))


def _unit(node: Node, *, children: Sequence[Manifest] = (), parameters: Mapping[str, str] | None = None) -> Manifest:
    unit: Manifest = {
        "name": node.name,
        "type": node.type.value,
        "endpoint": {"type": "REST"},
        "children": list(children),
    }
    if parameters:
        unit["parameters"] = [{"name": key, "type": "STRING", "value": value} for key, value in parameters.items()]
    return unit


def _parameters(node: Node, member: SlotMember, ensemble: EnsembleSpec, target: ServingTarget) -> dict[str, str]:
    """The arguments of `headrace.serving.onnx_model.OnnxModel`."""
    return {
        "name": node.name,
        "version": str(member.version),
        "model_path": model_folder(member, target),
        "digest": member.digest,
        "tolerance": str(ensemble.tolerance),
    }


def _weights(members: Sequence[SlotMember]) -> dict[str, str]:
    """The arguments of `headrace.serving.combiner.MeanCombiner`; none when all weigh the same."""
    weights = [member.weight for member in members]
    return {} if len(set(weights)) == 1 else {"weights": json.dumps(weights)}


def _logger(ensemble: EnsembleSpec, target: ServingTarget) -> Manifest:
    """At the root alone: what the caller sees. The executor logs a combiner's twice, under one request id (`Ce-Requestid`)."""
    if not (target.cluster and ensemble.request_log):
        return {}
    return {"logger": {"url": ensemble.request_log.url, "mode": ensemble.request_log.mode.value}}
