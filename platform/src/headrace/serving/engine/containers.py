"""The containers of a document's componentSpecs: what a node's process is told, and what is run before it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.serving.engine.errors import DocumentError
from headrace.serving.engine.fields import Fields, count, label, mapping, mappings, refuse, text, texts

MOST_REPLICAS = 32
NODE_COMMAND = ("python", "-m", "headrace.serving.node")
"""What a node's container runs, if its document says so or not."""
_REFERENCES = re.compile(r"\$\$|\$\(")
_NO_SECRETS = "there are no secrets or config maps here"


@dataclass(frozen=True)
class Container:
    """A node's container, reduced to what its process is told."""

    image: str
    environment: Mapping[str, str]
    replicas: int


@dataclass(frozen=True)
class InitContainer:
    """A command that must succeed before the component's nodes start. It runs in the engine's own environment: no image."""

    component: str
    """The first node of the component, as a name for it."""
    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    """What the document sets."""
    inherited: frozenset[str]
    """Variables that the document takes from Secrets and the like, which the engine has in its own environment instead."""


@dataclass(frozen=True)
class Component:
    """One componentSpec: a pod on a cluster, some processes here."""

    containers: Mapping[str, Container]
    init_containers: tuple[InitContainer, ...]
    """One after the other."""


def components(predictor: Fields) -> list[Component]:
    """The componentSpecs of a predictor.

    Raises:
        DocumentError: one is malformed or asks for what is not done here.
    """
    default = count(predictor, "replicas", "spec.predictors[0]", default=1, most=MOST_REPLICAS)
    return [_component(spec, default) for spec in mappings(predictor, "componentSpecs", "spec.predictors[0]")]


def _component(spec: Fields, default: int) -> Component:
    replicas = count(spec, "replicas", "componentSpecs", default=default, most=MOST_REPLICAS)
    refuse(spec, ("hpaSpec", "kedaSpec"), "componentSpecs", because="the number of replicas is fixed here")
    pod = mapping(spec, "spec", "componentSpecs")
    containers = {}
    for container in mappings(pod, "containers", "componentSpecs"):
        name = text(container, "name", "containers")
        containers[name] = _container(container, replicas, f"container {name}")
    first = next(iter(containers), "component")
    init_containers = tuple(_init_container(each, first) for each in mappings(pod, "initContainers", "componentSpecs"))
    return Component(containers=containers, init_containers=init_containers)


def _container(container: Fields, replicas: int, where: str) -> Container:
    if tuple(texts(container, "command", where)) not in ((), NODE_COMMAND):
        refuse(container, ("command",), where, because=f"every node runs `{' '.join(NODE_COMMAND)}`, as MODEL_NAME says")
    refuse(container, ("args",), where, because="a node takes none")
    refuse(container, ("envFrom",), where, because=_NO_SECRETS)
    environment = {}
    for item in mappings(container, "env", where):
        refuse(item, ("valueFrom",), where, because=_NO_SECRETS)
        environment[text(item, "name", where)] = _filled_in(text(item, "value", where, default=""), where)
    return Container(text(container, "image", where, default=""), environment, replicas)


def _init_container(container: Fields, component: str) -> InitContainer:
    """Its Secrets cannot be read here: `envFrom` is left to the engine's environment, and so is what `valueFrom` names."""
    name = label(text(container, "name", "initContainers"), "initContainers")
    where = f"init container {name} of {component}"
    refuse(container, ("workingDir", "restartPolicy"), where, because="it is a command, run once")
    command = texts(container, "command", where)
    if not command:
        raise DocumentError("`command` is missing", where=where, remedy="Give it: an image's own is not known here.")
    command += texts(container, "args", where)
    environment, inherited = {}, set()
    for item in mappings(container, "env", where):
        if item.get("valueFrom"):
            inherited.add(text(item, "name", where))
        else:
            environment[text(item, "name", where)] = _filled_in(text(item, "value", where, default=""), where)
    return InitContainer(
        component=component,
        name=name,
        command=tuple(_filled_in(word, where) for word in command),
        environment=environment,
        inherited=frozenset(inherited),
    )


def _filled_in(value: str, where: str) -> str:
    """A value as a container gets it: `$$` is a dollar sign. `$(NAME)` would be another variable's value."""

    def replacement(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        raise DocumentError(f"`{value}` refers to a variable", where=where, remedy="Write its value out.")

    return _REFERENCES.sub(replacement, value)
