"""The serving backend's side of a deployment: a revision's graph is filled, proven, made live, and put back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from headrace.ports.registry import ModelRegistry
from headrace.ports.serving import Document, ServingBackend
from headrace.ports.store import ObjectStore
from headrace.render.seldon import ServingTarget, document_digest, render_canary, render_deployment
from headrace.specs.canary import CanaryFigures, CanarySpec
from headrace.specs.deployment import Deployment
from headrace.specs.serving import Endpoint, EnsembleSpec, SlotMember
from headrace.usecases.deploy.plan import RolloutStep
from headrace.usecases.golden import ask_golden
from headrace.usecases.publish import publish

READY_WITHIN = timedelta(minutes=5)
_WELL_WITHIN = timedelta(minutes=1)
_PREVIEW: Mapping[str, Any] = {"replicas": 1, "autoscaling": None, "max_unavailable": None, "request_log": None}
"""How a preview differs from the ensemble: it is short-lived, and nobody's requests reach it."""


@dataclass(frozen=True)
class FilledGraph:
    """A revision, ready to serve: its ensemble, its filled slots, and the document that serves them."""

    ensemble: EnsembleSpec
    members: tuple[SlotMember, ...]
    document: Document
    former: tuple[SlotMember, ...] = ()
    """Beside a canary: the members that get the other requests."""

    @property
    def digest(self) -> str:
        """Of the document."""
        return document_digest(self.document)


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """Moves graphs: what it needs of the world, and where they run."""

    registry: ModelRegistry
    serving: ServingBackend
    store: ObjectStore
    target: ServingTarget

    def fill(self, ensemble: EnsembleSpec, deployment: Deployment) -> FilledGraph:
        """Publish the revision's versions, those that are not yet, and render its graph.

        Raises:
            NotFoundError: the registry has no such version, and serving has no copy.
            CorruptError: a version lacks a file that serving needs.
            InvalidSpecError: a model lies where the graph's nodes cannot read it.
        """
        members = self._publish(ensemble, deployment)
        return FilledGraph(ensemble, members, render_deployment(ensemble, members, self.target))

    def fill_canary(self, ensemble: EnsembleSpec, canary: CanarySpec, deployment: Deployment, former: Deployment) -> FilledGraph:
        """Likewise a graph in which a share of the requests goes to the revision, and the others to a former one.

        Raises:
            NotFoundError, CorruptError, InvalidSpecError: as `fill`; or what runs the graphs knows no shadow.
        """
        members, beside = self._publish(ensemble, deployment), self._publish(ensemble, former)
        return FilledGraph(ensemble, members, render_canary(ensemble, canary, beside, members, self.target), beside)

    def _publish(self, ensemble: EnsembleSpec, deployment: Deployment) -> tuple[SlotMember, ...]:
        return tuple(
            publish(ensemble.model, slot.version, slot=slot.slot, weight=slot.weight, registry=self.registry, store=self.store)
            for slot in deployment.request.slots
        )

    def check(self, graph: FilledGraph) -> None:
        """Make sure that a graph which was ready still is; applying what is there already only waits for it.

        Of a canary it matters, because Seldon's executor answers nobody while any node of the graph is not there.

        Raises:
            DeploymentFailedError: it is not, and does not become so.
        """
        self.serving.apply(graph.document, timeout=_WELL_WITHIN)

    def figures(self, ensemble: EnsembleSpec) -> CanaryFigures:
        """What was counted of the ensemble's canary."""
        return self.serving.figures(self.target.namespace, ensemble.name)

    def current(self, ensemble: EnsembleSpec) -> Document | None:
        """What serves, or is about to."""
        return self.serving.get(self.target.namespace, ensemble.name)

    def endpoint(self, ensemble: EnsembleSpec) -> Endpoint:
        """Where the ensemble answers."""
        url = self.serving.endpoint(self.target.namespace, ensemble.name)
        return Endpoint(name=ensemble.name, namespace=self.target.namespace, url=url)

    def perform(self, step: RolloutStep, graph: FilledGraph) -> None:
        """Do one step.

        Raises:
            DeploymentFailedError: the graph does not start, or answers otherwise than at training.
        """
        match step:
            case RolloutStep.PREVIEW:
                self._prove(graph)
            case RolloutStep.APPLY:
                self.serving.apply(graph.document, timeout=READY_WITHIN)
            case RolloutStep.VERIFY:
                self._ask(graph, graph.ensemble.name)

    def put_back(self, ensemble: EnsembleSpec, former: Deployment | None) -> None:
        """Make the former revision's graph what serves, if it is not; without one, nothing.

        Raises:
            DeploymentFailedError: it does not start.
        """
        if former is None:
            self.serving.delete(self.target.namespace, ensemble.name)
            return
        graph, current = self.fill(ensemble, former), self.current(ensemble)
        if current is None or document_digest(current) != graph.digest:
            self.serving.apply(graph.document, timeout=READY_WITHIN)

    def clear_preview(self, ensemble: EnsembleSpec) -> None:
        """Take away the preview that an interrupted rollout left."""
        name = preview_name(ensemble)
        if self.serving.get(self.target.namespace, name) is not None:
            self.serving.delete(self.target.namespace, name)

    def _prove(self, graph: FilledGraph) -> None:
        name = preview_name(graph.ensemble)
        preview = graph.ensemble.model_copy(update=_PREVIEW)
        try:
            self.serving.apply(render_deployment(preview, graph.members, self.target, name=name), timeout=READY_WITHIN)
            self._ask(graph, name)
        finally:
            self.serving.delete(self.target.namespace, name)

    def _ask(self, graph: FilledGraph, name: str) -> None:
        """Of a live canary the former members are asked for, too: whichever ensemble answers has to answer right."""
        beside = graph.former if name == graph.ensemble.name else ()
        ask_golden(
            self.serving,
            self.store,
            namespace=self.target.namespace,
            name=name,
            members=beside or graph.members,
            new=graph.members if beside else (),
            tolerance=graph.ensemble.tolerance,
        )


def preview_name(ensemble: EnsembleSpec) -> str:
    """Under which a graph proves itself."""
    return f"{ensemble.name}-preview"
