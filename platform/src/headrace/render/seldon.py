"""An ensemble and its filled slots → the SeldonDeployment that serves them. Pure.

The document is one that Seldon Core 1.x accepts unchanged and the embedded engine runs as it is. Each node has a componentSpec
of its own, because Seldon makes a Deployment, with replicas of its own, of each; a container's name is its node's name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.specs.base import Spec
from headrace.specs.serving import Combiner, EnsembleSpec, SlotMember

API_VERSION = "machinelearning.seldon.io/v1"

MEMBERS_ANNOTATION = "headrace.dev/members"
"""The filled slots, as JSON: a live document tells by itself which versions and runs it serves."""

_COMBINERS = {Combiner.MEAN: "headrace.serving.combiner.MeanCombiner"}
_MODEL = "headrace.serving.onnx_model.OnnxModel"


class ServingTarget(Spec):
    """What the place that serves decides about every node."""

    namespace: str
    image: str = "headrace/serving:0.1.0"
    rest_timeout_ms: int = 10_000


def render_deployment(
    ensemble: EnsembleSpec, members: Sequence[SlotMember], target: ServingTarget, *, name: str | None = None
) -> dict[str, Any]:
    """Render the graph: a combiner over one model node a slot.

    Args:
        ensemble: what is declared.
        members: the slots in order; at least one.
        target: where it will run.
        name: of the deployment, when not the ensemble's own (a preview's, say).
    """
    combiner = {
        "name": "combiner",
        "type": "COMBINER",
        "endpoint": {"type": "REST"},
        "children": [_node(member, ensemble.tolerance) for member in members],
    }
    components = [_component("combiner", "COMBINER", _COMBINERS[ensemble.combiner], ensemble.replicas, target)]
    components += [_component(member.alias, "MODEL", _MODEL, ensemble.replicas, target) for member in members]
    return {
        "apiVersion": API_VERSION,
        "kind": "SeldonDeployment",
        "metadata": _metadata(name or ensemble.name, ensemble, members, target),
        "spec": {
            "name": ensemble.name,
            "annotations": {"seldon.io/rest-timeout": str(target.rest_timeout_ms)},
            "predictors": [{"name": "live", "replicas": 1, "graph": combiner, "componentSpecs": components}],
        },
    }


def members_of(document: Mapping[str, Any]) -> tuple[SlotMember, ...]:
    """The slots a rendered document serves; empty for one that was not rendered here."""
    annotations = document["metadata"].get("annotations", {})
    return tuple(SlotMember.model_validate(member) for member in json.loads(annotations.get(MEMBERS_ANNOTATION, "[]")))


def document_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of what the document asks for; documents with equal digests serve the same."""
    return hashlib.sha256(json.dumps(document["spec"], sort_keys=True).encode()).hexdigest()


def _metadata(name: str, ensemble: EnsembleSpec, members: Sequence[SlotMember], target: ServingTarget) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": target.namespace,
        "labels": {"app.kubernetes.io/managed-by": "headrace", "headrace.dev/ensemble": ensemble.name},
        "annotations": {
            MEMBERS_ANNOTATION: json.dumps([member.model_dump() for member in members]),
        },
    }


def _node(member: SlotMember, tolerance: float) -> dict[str, Any]:
    parameters = {
        "name": member.alias,
        "version": str(member.version),
        "model_path": member.location,
        "digest": member.digest,
        "tolerance": str(tolerance),
    }
    return {
        "name": member.alias,
        "type": "MODEL",
        "endpoint": {"type": "REST"},
        "children": [],
        "parameters": [{"name": key, "type": "STRING", "value": value} for key, value in parameters.items()],
    }


def _component(name: str, service_type: str, component: str, replicas: int, target: ServingTarget) -> dict[str, Any]:
    environment = {"MODEL_NAME": component, "SERVICE_TYPE": service_type, "GRPC_WORKERS": "0", "GUNICORN_THREADS": "1"}
    container = {
        "name": name,
        "image": target.image,
        "env": [{"name": key, "value": value} for key, value in environment.items()],
    }
    return {"replicas": replicas, "spec": {"containers": [container]}}
