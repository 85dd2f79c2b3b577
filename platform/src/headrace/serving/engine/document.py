"""A SeldonDeployment document, checked and reduced to what running it needs. Pure.

Reference: https://docs.seldon.io/projects/seldon-core/en/v1/reference/seldon-deployment.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from headrace.serving.engine.errors import DocumentError

TIMEOUT_ANNOTATION = "seldon.io/rest-timeout"
_DEFAULT_TIMEOUT_MS = 10_000


class NodeType(StrEnum):
    """What a node does in the walk (Seldon's PredictiveUnitType). Routers are not run by this engine."""

    MODEL = "MODEL"
    COMBINER = "COMBINER"
    TRANSFORMER = "TRANSFORMER"
    OUTPUT_TRANSFORMER = "OUTPUT_TRANSFORMER"


@dataclass(frozen=True)
class Node:
    """One node of a graph: a component, how many replicas of it, and its children."""

    name: str
    type: NodeType
    image: str
    environment: Mapping[str, str]
    parameters: str
    """A JSON array of {name, type, value}, as the operator hands it to the container."""
    replicas: int
    children: tuple[Node, ...]

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class Deployment:
    """One document: where it answers, its graph, and what identifies it."""

    namespace: str
    name: str
    predictor: str
    root: Node
    timeout: float
    """Seconds a node may take."""
    digest: str
    """SHA-256 of the canonical spec: equal digests serve the same."""
    source: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name


def parse(document: Any, *, namespace: str, name: str) -> Deployment:
    """Check a document that is to be applied under `namespace`/`name`.

    Raises:
        DocumentError: a part is missing, malformed, or asks for what this engine does not do; names the part.
    """
    metadata = _mapping(document, "metadata")
    for key, value in (("namespace", namespace), ("name", name)):
        if metadata.get(key, value) != value:
            raise DocumentError(f"metadata.{key} is `{metadata[key]}`", where=f"{namespace}/{name}", remedy="Use the path's.")
    spec = _mapping(document, "spec")
    predictors = spec.get("predictors")
    if not isinstance(predictors, list) or len(predictors) != 1:
        raise DocumentError("exactly one predictor is run", where="spec.predictors", remedy="Apply the others by themselves.")
    predictor = predictors[0]
    containers = _containers(predictor)
    root = _node(_mapping(predictor, "graph"), containers, "graph", int(predictor.get("replicas", 1)))
    names = [node.name for node in root.walk()]
    if len(set(names)) != len(names):
        raise DocumentError(f"node names repeat: {names}", where="graph", remedy="Give every node a name of its own.")
    return Deployment(
        namespace=namespace,
        name=name,
        predictor=predictor.get("name", "default"),
        root=root,
        timeout=_timeout(metadata),
        digest=hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest(),
        source={**document, "metadata": {**metadata, "namespace": namespace, "name": name}},
    )


@dataclass(frozen=True)
class _Container:
    image: str
    environment: Mapping[str, str]
    replicas: int | None


def _containers(predictor: Mapping[str, Any]) -> dict[str, _Container]:
    found = {}
    for component in predictor.get("componentSpecs", []):
        for container in _mapping(component, "spec").get("containers", []):
            environment = {item["name"]: str(item.get("value", "")) for item in container.get("env", [])}
            found[container["name"]] = _Container(container.get("image", ""), environment, component.get("replicas"))
    return found


def _node(graph: Mapping[str, Any], containers: Mapping[str, _Container], where: str, replicas: int) -> Node:
    name = graph.get("name", "")
    where = f"{where}.{name}"
    if graph.get("implementation") not in (None, "", "UNKNOWN_IMPLEMENTATION"):
        raise DocumentError(f"implementation {graph['implementation']} is not run here", where=where, remedy="Give a container.")
    try:
        kind = NodeType(graph.get("type", NodeType.MODEL))
    except ValueError as error:
        raise DocumentError(f"nodes of type {graph['type']} are not run here", where=where) from error
    if name not in containers:
        raise DocumentError("no container has the node's name", where=where, remedy="Name the container after its node.")
    container = containers[name]
    if "MODEL_NAME" not in container.environment:
        raise DocumentError("the container's environment lacks MODEL_NAME", where=where, remedy="Set it to module.Class.")
    children = tuple(_node(child, containers, where, replicas) for child in graph.get("children") or [])
    if len(children) > 1 and kind is not NodeType.COMBINER:
        raise DocumentError("only a combiner may have several children", where=where)
    return Node(
        name=name,
        type=kind,
        image=container.image,
        environment=container.environment,
        parameters=json.dumps(graph.get("parameters") or []),
        replicas=container.replicas or replicas,
        children=children,
    )


def _timeout(metadata: Mapping[str, Any]) -> float:
    text = (metadata.get("annotations") or {}).get(TIMEOUT_ANNOTATION, _DEFAULT_TIMEOUT_MS)
    try:
        return int(text) / 1000
    except ValueError as error:
        raise DocumentError(f"`{text}` is no number of milliseconds", where=f"annotation {TIMEOUT_ANNOTATION}") from error


def _mapping(parent: Any, key: str) -> Mapping[str, Any]:
    value = parent.get(key) if isinstance(parent, Mapping) else None
    if not isinstance(value, Mapping):
        raise DocumentError(f"`{key}` is missing or no mapping", where="document")
    return value
