"""A SeldonDeployment document, checked and reduced to what running it needs. Pure.

What only a cluster can give (resources, probes, volumes, labels) is let through and makes no difference here; what would make the
graph answer differently is refused. Reference: https://docs.seldon.ai/seldon-core-1/reference/seldon-deployment-crd
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from headrace.serving.engine.containers import Component, InitContainer, components
from headrace.serving.engine.errors import DocumentError
from headrace.serving.engine.fields import Fields, count, label, mapping, mappings, refuse, text

KIND = "SeldonDeployment"
TIMEOUT_ANNOTATION = "seldon.io/rest-timeout"
_DEFAULT_TIMEOUT_MS = 10_000
_PLAIN_REST = {"protocol": "seldon", "transport": "rest"}
_NO_IMPLEMENTATION = "UNKNOWN_IMPLEMENTATION"
_RANDOM_ABTEST = "RANDOM_ABTEST"
_BRANCHES = 2
_ROUTING = "SELDON_ENABLE_ROUTING_INJECTION"
"""The executor's variable: whether an answer says in `meta.routing` which way it went."""


class NodeType(StrEnum):
    """What a node does in the walk (Seldon's PredictiveUnitType)."""

    MODEL = "MODEL"
    COMBINER = "COMBINER"
    TRANSFORMER = "TRANSFORMER"
    OUTPUT_TRANSFORMER = "OUTPUT_TRANSFORMER"
    ROUTER = "ROUTER"
    """Draws lots between its two children. Only Seldon's own (RANDOM_ABTEST) is run, which is no process."""


_COMPONENTS = tuple(kind.value for kind in NodeType if kind is not NodeType.ROUTER)


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
    preparations: tuple[InitContainer, ...] = ()
    """What must succeed before it starts, in order."""
    ratio: float = 1.0
    """Of a router: how often its first child is asked."""

    def runs_as(self, other: Node) -> bool:
        """Whether a process of this node is one of the other as well, whatever stands below them."""
        return replace(self, children=()) == replace(other, children=())

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class Shadow:
    """A second graph that is asked some of what the first has answered; nobody gets its answers."""

    root: Node
    share: float
    """Of the requests."""


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
    shadow: Shadow | None = None
    tells_routes: bool = False
    """Whether an answer says which way it went."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes that are processes."""
        roots = (self.root, self.shadow.root) if self.shadow else (self.root,)
        return tuple(node for root in roots for node in root.walk() if node.type is not NodeType.ROUTER)

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
    predictor, mirror = _predictors(spec)
    parts = [*components(predictor), *(components(mirror) if mirror else [])]
    root = _node(mapping(predictor, "graph", "spec.predictors[0]"), _components_by_node(parts), "graph")
    shadow = _shadow(mirror, parts) if mirror else None
    _check_names([node.name for each in (root, *([shadow.root] if shadow else [])) for node in each.walk()])
    return Deployment(
        namespace=namespace,
        name=name,
        predictor=text(predictor, "name", "spec.predictors[0]", default="default"),
        root=root,
        preparations=tuple(part.init_containers for part in parts if part.init_containers),
        timeout=_timeout(metadata, spec),
        digest=digest_of(spec),
        source={**document, "metadata": {**metadata, "namespace": namespace, "name": name}},
        shadow=shadow,
        tells_routes=_tells_routes(predictor),
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


def _predictors(spec: Fields) -> tuple[Fields, Fields | None]:
    """The one that answers, and its shadow."""
    _check_plain_rest(spec, "spec")
    predictors = mappings(spec, "predictors", "spec")
    shadows = [each for each in predictors[1:] if each.get("shadow") is True]
    if len(predictors) != 1 + len(shadows) or len(shadows) > 1:
        raise DocumentError(
            "exactly one predictor is run, and at most one shadow of it",
            where="spec.predictors",
            remedy="Apply the others by themselves.",
        )
    for index, each in enumerate(predictors):
        where = f"spec.predictors[{index}]"
        _check_plain_rest(each, where)
        refuse(each, ("explainer",), where, because="one predictor answers")
    refuse(predictors[0], ("shadow",), "spec.predictors[0]", because="the first one answers")
    return predictors[0], shadows[0] if shadows else None


def _shadow(predictor: Fields, parts: list[Component]) -> Shadow:
    root = _node(mapping(predictor, "graph", "spec.predictors[1]"), _components_by_node(parts), "graph")
    percent = count(predictor, "traffic", "spec.predictors[1]", default=100, most=100)
    return Shadow(root=root, share=percent / 100)


def _tells_routes(predictor: Fields) -> bool:
    """As the executor reads its variable: any text but the empty one."""
    orchestrator = mapping(predictor, "svcOrchSpec", "spec.predictors[0]")
    return any(each.get("name") == _ROUTING and each.get("value") for each in mappings(orchestrator, "env", "svcOrchSpec"))


def _check_plain_rest(part: Fields, where: str) -> None:
    for key, only in _PLAIN_REST.items():
        if (value := text(part, key, where, default=only)) != only:
            raise DocumentError(f"{key} `{value}` is not spoken here", where=where, remedy=f"Use `{only}`.")


def _components_by_node(parts: list[Component]) -> dict[str, Component]:
    return {name: part for part in parts for name in part.containers}


def _node(graph: Fields, parts: Mapping[str, Component], parent: str) -> Node:
    name = label(text(graph, "name", parent), parent)
    where = f"{parent}.{name}"
    if text(graph, "implementation", where, default=_NO_IMPLEMENTATION) == _RANDOM_ABTEST:
        return _router(graph, parts, name, where)
    kind = _type(graph, where)
    if name not in parts:
        raise DocumentError("no container has the node's name", where=where, remedy="Name the container after its node.")
    container = parts[name].containers[name]
    if not container.environment.get("MODEL_NAME"):
        raise DocumentError("the container's environment lacks MODEL_NAME", where=where, remedy="Set it to module.Class.")
    children = tuple(_node(child, parts, where) for child in mappings(graph, "children", where))
    _check_children(kind, len(children), where)
    return Node(
        name=name,
        type=kind,
        image=container.image,
        environment={"SERVICE_TYPE": kind.value, **container.environment},
        parameters=json.dumps(mappings(graph, "parameters", where)),
        replicas=container.replicas,
        children=children,
        preparations=parts[name].init_containers,
    )


def _router(graph: Fields, parts: Mapping[str, Component], name: str, where: str) -> Node:
    """A random one, as Seldon's executor runs it: it asks no container, and draws lots between the first two children."""
    refuse(graph, ("type", "methods", "modelUri", "logger"), where, because=f"{_RANDOM_ABTEST} does one thing, and asks nobody")
    children = tuple(_node(child, parts, where) for child in mappings(graph, "children", where))
    if len(children) != _BRANCHES:
        raise DocumentError(f"{_RANDOM_ABTEST} draws lots between two children", where=where, remedy="Give it two.")
    return Node(
        name=name,
        type=NodeType.ROUTER,
        image="",
        environment={},
        parameters="[]",
        replicas=0,
        children=children,
        ratio=_ratio(mappings(graph, "parameters", where), where),
    )


def _ratio(parameters: list[Fields], where: str) -> float:
    """How often the first child is asked: `ratioA`, which the executor reads only when it is the one parameter."""
    if len(parameters) != 1 or parameters[0].get("name") != "ratioA":
        return 0.5
    try:
        return float(text(parameters[0], "value", where))
    except ValueError as error:
        raise DocumentError("`ratioA` is no number", where=where) from error


def _type(graph: Fields, where: str) -> NodeType:
    implementation = text(graph, "implementation", where, default=_NO_IMPLEMENTATION)
    if implementation != _NO_IMPLEMENTATION:
        raise DocumentError(f"implementation {implementation} is not run here", where=where, remedy="Give a container.")
    refuse(graph, ("modelUri", "methods", "logger"), where, because="a node is its container, called as its type says")
    endpoint = text(mapping(graph, "endpoint", where), "type", where, default="REST")
    if endpoint != "REST":
        raise DocumentError(f"endpoints of type {endpoint} are not spoken here", where=where, remedy="Use REST.")
    kind = text(graph, "type", where, default=NodeType.MODEL.value)
    if kind not in _COMPONENTS:
        raise DocumentError(f"nodes of type {kind} are not run here", where=where, remedy=f"Use one of {', '.join(_COMPONENTS)}.")
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
