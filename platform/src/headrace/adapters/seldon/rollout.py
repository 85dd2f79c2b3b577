"""How far the operator and Kubernetes have got with a document. Pure.

The status of a SeldonDeployment is not enough: it never says which generation it is about, and stays `Available` while what it
was made into is replaced. So the Deployments that the operator made are looked at as well: each carries the mark of the
component that it was made from (`headrace.render.seldon.marks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes.client import V1Deployment

from headrace.ports.serving import Document
from headrace.render.seldon.marks import MARK


@dataclass(frozen=True)
class Part:
    """A component of the document, and the Deployment that was made of it, if there is one."""

    node: str
    mark: str | None
    replicas: int | None
    """None where an autoscaler decides."""
    deployment: V1Deployment | None

    @property
    def acted_on(self) -> bool:
        """Whether the operator has brought the Deployment to what the component says."""
        if self.deployment is None:
            return False
        spec = self.deployment.spec
        return _annotations(spec.template).get(MARK) == self.mark and self.replicas in (None, spec.replicas)

    @property
    def rolled_out(self) -> bool:
        """Whether all its replicas, and only they, run what the component says and are ready."""
        if self.deployment is None or not self.acted_on:
            return False
        wanted, status = self.deployment.spec.replicas, self.deployment.status
        observed = (status.observed_generation or 0) >= self.deployment.metadata.generation
        counts = (status.replicas, status.updated_replicas, status.available_replicas)
        return observed and all(count == wanted for count in counts)

    def describe(self) -> str:
        """How far it is, in words."""
        if self.deployment is None or not self.acted_on:
            return f"{self.node}: the operator has not acted on it yet"
        status = self.deployment.status
        return f"{self.node}: {status.available_replicas or 0} of {self.deployment.spec.replicas} replica(s) available"


@dataclass(frozen=True)
class Rollout:
    """A document's parts at one moment.

    Attributes:
        parts: in the document's order.
        superfluous: names of Deployments that no part of the document stands for any more.
        state: the operator's own word (`Creating`, `Available`, `Failed`), empty when it has not said anything.
        description: its reason.
    """

    parts: Sequence[Part]
    superfluous: Sequence[str]
    state: str
    description: str

    @property
    def acted_on(self) -> bool:
        """Whether the operator has acted on the whole document."""
        return all(part.acted_on for part in self.parts)

    @property
    def finished(self) -> bool:
        """Whether the document is what serves, and nothing else is left."""
        return self.state == "Available" and all(part.rolled_out for part in self.parts) and not self.superfluous

    def unfinished(self) -> list[Part]:
        """The parts that are not rolled out."""
        return [part for part in self.parts if not part.rolled_out]


def rollout(document: Document, stored: Mapping[str, Any], deployments: Iterable[V1Deployment]) -> Rollout:
    """Compare a document with what there is.

    Args:
        document: as applied.
        stored: the object as the API server has it.
        deployments: of its namespace, anybody's.
    """
    owned = owned_by(stored["metadata"]["uid"], deployments)
    by_node = {container.name: each for each in owned for container in each.spec.template.spec.containers}
    parts = [_part(component, by_node) for component in document["spec"]["predictors"][0]["componentSpecs"]]
    used = {part.deployment.metadata.name for part in parts if part.deployment}
    status = stored.get("status", {})
    return Rollout(
        parts=parts,
        superfluous=[each.metadata.name for each in owned if each.metadata.name not in used],
        state=status.get("state", ""),
        description=status.get("description", ""),
    )


def owned_by(uid: str, deployments: Iterable[V1Deployment]) -> list[V1Deployment]:
    """Those that the operator made of the SeldonDeployment with that uid."""
    return [each for each in deployments if uid in {owner.uid for owner in each.metadata.owner_references or ()}]


def _part(component: Mapping[str, Any], by_node: Mapping[str, V1Deployment]) -> Part:
    node = component["spec"]["containers"][0]["name"]
    return Part(
        node=node,
        mark=component.get("metadata", {}).get("annotations", {}).get(MARK),
        replicas=None if "hpaSpec" in component else component.get("replicas"),
        deployment=by_node.get(node),
    )


def _annotations(template: Any) -> Mapping[str, str]:
    return (template.metadata and template.metadata.annotations) or {}
