"""The SeldonDeployment as a whole, and what can be read off it.

It is one that Seldon Core 1.x accepts unchanged and headrace's own engine runs as it is. Each node has a componentSpec of its
own, because Seldon makes a Deployment, with replicas of its own, of each; a container's name is its node's name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.render.pod import Manifest
from headrace.render.seldon.component import component
from headrace.render.seldon.executor import executor
from headrace.render.seldon.graph import graph
from headrace.render.seldon.marks import marked
from headrace.render.seldon.node import Node, nodes
from headrace.render.seldon.target import ServingTarget
from headrace.specs.serving import EnsembleSpec, SlotMember

API_VERSION = "machinelearning.seldon.io/v1"
PREDICTOR = "live"
"""Every document's one predictor."""
MEMBERS_ANNOTATION = "headrace.dev/members"
"""The filled slots, as JSON: a live document tells by itself which versions and runs it serves."""
TIMEOUT_ANNOTATION = "seldon.io/rest-timeout"


def render_deployment(
    ensemble: EnsembleSpec, members: Sequence[SlotMember], target: ServingTarget, *, name: str | None = None
) -> Manifest:
    """Render the graph: a combiner over one model node a slot.

    Args:
        ensemble: what is declared.
        members: the slots in order; at least one.
        target: where it will run.
        name: of the deployment, when not the ensemble's own (a preview's, say).

    Raises:
        InvalidSpecError: a model lies where the target's nodes cannot read it.
    """
    name = name or ensemble.name
    predictor = {
        **predictor_of(graph(ensemble, members, target), nodes(ensemble, members), ensemble, target, name=name),
        **executor(ensemble, target),
    }
    return document_of([predictor], ensemble, target, name=name, annotations={MEMBERS_ANNOTATION: told(members)})


def predictor_of(root: Manifest, parts: Sequence[Node], ensemble: EnsembleSpec, target: ServingTarget, *, name: str) -> Manifest:
    """A predictor: its graph, and a componentSpec for each node of it that is a process."""
    components = [component(node, ensemble, target, graph_name=name) for node in parts]
    return {"name": PREDICTOR, "replicas": 1, "graph": root, "componentSpecs": components}


def document_of(
    predictors: Sequence[Manifest],
    ensemble: EnsembleSpec,
    target: ServingTarget,
    *,
    name: str,
    annotations: Mapping[str, str],
) -> Manifest:
    """The whole document."""
    return {
        "apiVersion": API_VERSION,
        "kind": "SeldonDeployment",
        "metadata": {
            "name": name,
            "namespace": target.namespace,
            "labels": {"app.kubernetes.io/managed-by": "headrace", "headrace.dev/ensemble": ensemble.name},
            "annotations": dict(annotations),
        },
        "spec": {
            "name": ensemble.name,
            "annotations": {TIMEOUT_ANNOTATION: str(target.rest_timeout_ms)},
            "predictors": [marked(predictor) if target.cluster else predictor for predictor in predictors],
        },
    }


def told(members: Sequence[SlotMember]) -> str:
    """Filled slots, as an annotation says them."""
    return json.dumps([member.model_dump(exclude_defaults=True) for member in members])


def members_of(document: Mapping[str, Any]) -> tuple[SlotMember, ...]:
    """The slots a rendered document serves; empty for one that was not rendered here.

    While a canary is on, those of the ensemble that gets the other requests.
    """
    return members_told(document, MEMBERS_ANNOTATION)


def members_told(document: Mapping[str, Any], annotation: str) -> tuple[SlotMember, ...]:
    """The filled slots that an annotation tells; none where it is missing."""
    annotations = document["metadata"].get("annotations", {})
    return tuple(SlotMember.model_validate(member) for member in json.loads(annotations.get(annotation, "[]")))


def document_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of what the document asks for; documents with equal digests serve the same."""
    return hashlib.sha256(json.dumps(document["spec"], sort_keys=True).encode()).hexdigest()
