"""A SeldonDeployment document, checked and reduced to what running it needs. Pure.

What only a cluster can give (resources, probes, volumes, labels) is let through and makes no difference here; what would make the
graph answer differently is refused. Reference: https://docs.seldon.ai/seldon-core-1/reference/seldon-deployment-crd
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from headrace.serving.engine.containers import Component, Container, InitContainer, components
from headrace.serving.engine.errors import DocumentError
from headrace.serving.engine.fields import Fields, label, mapping, mappings, refuse, text

KIND = "SeldonDeployment"
TIMEOUT_ANNOTATION = "seldon.io/rest-timeout"
_DEFAULT_TIMEOUT_MS = 10_000
_PLAIN_REST = {"protocol": "seldon", "transport": "rest"}


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
    """Of its container; MODEL_NAME (module.Class) and SERVICE_TYPE are always there."""
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
    preparations: tuple[tuple[InitContainer, ...], ...]
    """What must succeed before any node starts: for each component its init containers, in order."""
    timeout: float
    """Seconds a node may take."""
    digest: str
    """The spec's (see `digest_of`)."""
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
    label(namespace, "the path's namespace")
    label(name, "the path's name")
    metadata, spec = mapping(document, "metadata", "document"), mapping(document, "spec", "document")
    _check_identity(document, metadata, namespace, name)
    predictor = _predictor(spec)
    parts = components(predictor)
    root = _node(mapping(predictor, "graph", "spec.predictors[0]"), _containers(parts), "graph")
    _check_names([node.name for node in root.walk()])
    return Deployment(
        namespace=namespace,
        name=name,
        predictor=text(predictor, "name", "spec.predictors[0]", default="default"),
        root=root,
        preparations=tuple(part.init_containers for part in parts if part.init_containers),
        timeout=_timeout(metadata, spec),
        digest=digest_of(spec),
        source={**document, "metadata": {**metadata, "namespace": namespace, "name": name}},
    )


def digest_of(spec: Any) -> str:
    """SHA-256 of a spec's canonical form: equal digests serve the same."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()


def _check_identity(document: Fields, metadata: Fields, namespace: str, name: str) -> None:
    if document.get("kind", KIND) != KIND:
        raise DocumentError(f"kind is `{document['kind']}`", where="document", remedy=f"Apply a {KIND}.")
    for key, value in (("namespace", namespace), ("name", name)):
        if metadata.get(key, value) != value:
            raise DocumentError(f"metadata.{key} is `{metadata[key]}`", where=f"{namespace}/{name}", remedy="Use the path's.")


def _check_names(names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise DocumentError(f"node names repeat: {names}", where="graph", remedy="Give every node a name of its own.")


def _predictor(spec: Fields) -> Fields:
    _check_plain_rest(spec, "spec")
    predictors = mappings(spec, "predictors", "spec")
    if len(predictors) != 1:
        raise DocumentError("exactly one predictor is run", where="spec.predictors", remedy="Apply the others by themselves.")
    _check_plain_rest(predictors[0], "spec.predictors[0]")
    refuse(predictors[0], ("explainer", "shadow"), "spec.predictors[0]", because="one predictor answers, and nothing else runs")
    return predictors[0]


def _check_plain_rest(part: Fields, where: str) -> None:
    for key, only in _PLAIN_REST.items():
        if (value := text(part, key, where, default=only)) != only:
            raise DocumentError(f"{key} `{value}` is not spoken here", where=where, remedy=f"Use `{only}`.")


def _containers(parts: list[Component]) -> dict[str, Container]:
    return {name: container for part in parts for name, container in part.containers.items()}


def _node(graph: Fields, containers: Mapping[str, Container], parent: str) -> Node:
    name = label(text(graph, "name", parent), parent)
    where = f"{parent}.{name}"
    kind = _type(graph, where)
    container = containers.get(name)
    if container is None:
        raise DocumentError("no container has the node's name", where=where, remedy="Name the container after its node.")
    if not container.environment.get("MODEL_NAME"):
        raise DocumentError("the container's environment lacks MODEL_NAME", where=where, remedy="Set it to module.Class.")
    children = tuple(_node(child, containers, where) for child in mappings(graph, "children", where))
    _check_children(kind, len(children), where)
    return Node(
        name=name,
        type=kind,
        image=container.image,
        environment={"SERVICE_TYPE": kind.value, **container.environment},
        parameters=json.dumps(mappings(graph, "parameters", where)),
        replicas=container.replicas,
        children=children,
    )


def _type(graph: Fields, where: str) -> NodeType:
    implementation = text(graph, "implementation", where, default="UNKNOWN_IMPLEMENTATION")
    if implementation != "UNKNOWN_IMPLEMENTATION":
        raise DocumentError(f"implementation {implementation} is not run here", where=where, remedy="Give a container.")
    refuse(graph, ("modelUri", "methods", "logger"), where, because="a node is its container, called as its type says")
    endpoint = text(mapping(graph, "endpoint", where), "type", where, default="REST")
    if endpoint != "REST":
        raise DocumentError(f"endpoints of type {endpoint} are not spoken here", where=where, remedy="Use REST.")
    kind = text(graph, "type", where, default=NodeType.MODEL.value)
    if kind not in set(NodeType):
        raise DocumentError(f"nodes of type {kind} are not run here", where=where, remedy=f"Use one of {', '.join(NodeType)}.")
    return NodeType(kind)


def _check_children(kind: NodeType, children: int, where: str) -> None:
    if kind is NodeType.COMBINER and not children:
        raise DocumentError("a combiner without children has nothing to combine", where=where)
    if kind is not NodeType.COMBINER and children > 1:
        raise DocumentError("only a combiner may have several children", where=where)


def _timeout(metadata: Fields, spec: Fields) -> float:
    """Seldon reads the annotation from the spec; here the document's own metadata may carry it as well."""
    annotations = {**mapping(metadata, "annotations", "metadata"), **mapping(spec, "annotations", "spec")}
    value = str(annotations.get(TIMEOUT_ANNOTATION, _DEFAULT_TIMEOUT_MS))
    if not value.isascii() or not value.isdigit() or int(value) == 0:
        raise DocumentError(f"`{value}` is no number of milliseconds", where=f"annotation {TIMEOUT_ANNOTATION}")
    return int(value) / 1000
