"""Seldon's executor: the container that walks the graph, which the operator adds to the root's pods."""

from __future__ import annotations

from headrace.render.pod import Manifest
from headrace.render.seldon.container import resources
from headrace.render.seldon.target import ServingTarget
from headrace.specs.serving import EnsembleSpec

ROUTING = "SELDON_ENABLE_ROUTING_INJECTION"


def executor(ensemble: EnsembleSpec, target: ServingTarget) -> Manifest:
    """What a predictor says of it; nothing where there is none."""
    return {"svcOrchSpec": {"resources": resources(ensemble.executor_resources)}} if target.cluster else {}


def telling_routes(orchestrator: Manifest) -> Manifest:
    """The same, and each answer says in `meta.routing` which way it went: off unless the executor is told otherwise."""
    env = [{"name": ROUTING, "value": "true"}]
    return {"svcOrchSpec": {**orchestrator.get("svcOrchSpec", {}), "env": env}}
