"""Seldon's executor: the container that walks the graph, which the operator adds to the root's pods."""

from __future__ import annotations

from headrace.render.pod import Manifest
from headrace.render.seldon.container import resources
from headrace.render.seldon.target import ServingTarget
from headrace.specs.serving import EnsembleSpec


def executor(ensemble: EnsembleSpec, target: ServingTarget) -> Manifest:
    """What a predictor says of it; nothing where there is none."""
    return {"svcOrchSpec": {"resources": resources(ensemble.executor_resources)}} if target.cluster else {}
