"""Promotion: the best candidates become what serves, and the former graph goes on until they have proved themselves.

Order of effects, each repeatable: files published → preview started and asked its golden requests → aliases moved → graph
applied. A crash after any of them is put right by running the step again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from headrace.errors import DeploymentFailedError, InvalidSpecError
from headrace.ports.locks import Locks
from headrace.ports.registry import ModelRegistry
from headrace.ports.serving import Document, ServingBackend
from headrace.ports.store import ObjectStore
from headrace.render.seldon import ServingTarget, document_digest, members_of, render_deployment
from headrace.specs.serving import Endpoint, EnsembleSpec, SlotMember
from headrace.specs.step import PromoteResult, PromoteStep, VerifyResult, VerifyStep
from headrace.specs.training import Candidate
from headrace.usecases.golden import ask_golden
from headrace.usecases.publish import publish

READY_WITHIN = timedelta(minutes=5)
_PREVIEW: Mapping[str, Any] = {"replicas": 1, "autoscaling": None, "max_unavailable": None, "request_log": None}
"""How a preview differs from the ensemble: it is short-lived, and nobody's requests reach it."""


def rank(candidates: Iterable[Candidate], metric: str) -> tuple[Candidate, ...]:
    """Best first by a validation metric (higher is better); ties by the member's name.

    Raises:
        InvalidSpecError: a candidate does not have the metric.
    """
    candidates = tuple(candidates)
    for candidate in candidates:
        if metric not in candidate.metrics:
            known = ", ".join(sorted(candidate.metrics))
            raise InvalidSpecError(
                f"no metric `{metric}`", where=f"member {candidate.member}, run {candidate.run_id}", remedy=f"It has: {known}."
            )
    return tuple(sorted(candidates, key=lambda candidate: (-candidate.metrics[metric], candidate.member)))


@dataclass(frozen=True, kw_only=True)
class Promoter:
    """Moves ensembles: what it needs of the world, and where graphs run."""

    registry: ModelRegistry
    serving: ServingBackend
    store: ObjectStore
    locks: Locks
    target: ServingTarget

    def promote(self, step: PromoteStep) -> PromoteResult:
        """Choose the best candidates on validation and make them serve.

        Raises:
            InvalidSpecError: there are fewer candidates than the ensemble has slots.
            DeploymentFailedError: they do not start, or answer otherwise than at training; the former graph still serves and
                the aliases are as they were.
        """
        ensemble = step.pipeline.ensemble
        ranking = rank(step.candidates, ensemble.metric)
        if len(ranking) < step.size:
            raise InvalidSpecError(
                f"{len(ranking)} candidate(s) cannot fill an ensemble of {step.size}",
                where=f"run {step.run}",
                remedy="Look at why the other members have none, or ask for a smaller ensemble.",
            )
        with self.locks.hold(f"ensemble/{ensemble.name}"):
            return self._replace(ensemble, ranking, step.size)

    def verify(self, step: VerifyStep) -> VerifyResult:
        """Ask the live endpoint its golden requests; on any disagreement put the former graph and aliases back.

        Raises:
            DeploymentFailedError: the answers differ; what served before serves again.
        """
        ensemble, promotion = step.pipeline.ensemble, step.promotion
        try:
            return self._ask(ensemble, ensemble.name, promotion.members)
        except DeploymentFailedError:
            with self.locks.hold(f"ensemble/{ensemble.name}"):
                self._restore(ensemble, promotion.former)
            raise

    def _replace(self, ensemble: EnsembleSpec, ranking: Sequence[Candidate], size: int) -> PromoteResult:
        former = self._live_members(ensemble)
        chosen = [self._publish(ensemble, slot, choice.version) for slot, choice in enumerate(ranking[:size], start=1)]
        self._prove(ensemble, chosen)
        document = render_deployment(ensemble, chosen, self.target)
        self._make_live(ensemble, document, chosen, former)
        return PromoteResult(
            endpoint=Endpoint(
                name=ensemble.name,
                namespace=self.target.namespace,
                url=self.serving.endpoint(self.target.namespace, ensemble.name),
            ),
            members=tuple(chosen),
            former=former,
            digest=document_digest(document),
            ranking=tuple(ranking),
        )

    def _live_members(self, ensemble: EnsembleSpec) -> tuple[SlotMember, ...]:
        document = self.serving.get(self.target.namespace, ensemble.name)
        return members_of(document) if document else ()

    def _publish(self, ensemble: EnsembleSpec, slot: int, version: int) -> SlotMember:
        return publish(ensemble.model, version, slot=slot, registry=self.registry, store=self.store)

    def _prove(self, ensemble: EnsembleSpec, members: Sequence[SlotMember]) -> None:
        """Start the graph under a name of its own, one replica a node, ask its golden requests, and take it away again."""
        name = f"{ensemble.name}-preview"
        preview = ensemble.model_copy(update=_PREVIEW)
        try:
            self.serving.apply(render_deployment(preview, members, self.target, name=name), timeout=READY_WITHIN)
            self._ask(ensemble, name, members)
        finally:
            self.serving.delete(self.target.namespace, name)

    def _make_live(
        self, ensemble: EnsembleSpec, document: Document, members: Sequence[SlotMember], former: Sequence[SlotMember]
    ) -> None:
        self._set_aliases(ensemble, members)
        try:
            self.serving.apply(document, timeout=READY_WITHIN)
        except DeploymentFailedError:
            self._set_aliases(ensemble, former)
            raise

    def _restore(self, ensemble: EnsembleSpec, former: Sequence[SlotMember]) -> None:
        self._set_aliases(ensemble, former)
        if former:
            self.serving.apply(render_deployment(ensemble, former, self.target), timeout=READY_WITHIN)
        else:
            self.serving.delete(self.target.namespace, ensemble.name)

    def _set_aliases(self, ensemble: EnsembleSpec, members: Sequence[SlotMember]) -> None:
        """Make the registry's slots exactly these members."""
        wanted = {member.alias: member.version for member in members}
        for alias, version in wanted.items():
            self.registry.set_alias(ensemble.model, alias, version)
        for alias in self.registry.aliases(ensemble.model):
            if alias.startswith("slot-") and alias not in wanted:
                self.registry.delete_alias(ensemble.model, alias)

    def _ask(self, ensemble: EnsembleSpec, name: str, members: Sequence[SlotMember]) -> VerifyResult:
        return ask_golden(
            self.serving,
            self.store,
            namespace=self.target.namespace,
            name=name,
            members=members,
            tolerance=ensemble.tolerance,
        )
