"""The graph that a request walks: a combiner over one model node a slot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from headrace.render.pod import Manifest
from headrace.render.seldon.node import Node, combiner_node, model_folder, model_node
from headrace.render.seldon.target import ServingTarget
from headrace.specs.serving import EnsembleSpec, SlotMember


def graph(ensemble: EnsembleSpec, members: Sequence[SlotMember], target: ServingTarget) -> Manifest:
    """The root unit, with the models below it."""
    children = [_unit(model_node(member), parameters=_parameters(member, ensemble, target)) for member in members]
    root = _unit(combiner_node(ensemble), children=children, parameters=_weights(members))
    return {**root, **_logger(ensemble, target)}


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


def _parameters(member: SlotMember, ensemble: EnsembleSpec, target: ServingTarget) -> dict[str, str]:
    """The arguments of `headrace.serving.onnx_model.OnnxModel`."""
    return {
        "name": member.alias,
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
