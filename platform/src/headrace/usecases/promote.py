"""Promotion: which candidates should serve. What it takes until they do is the reconciler's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headrace.errors import InvalidSpecError
from headrace.ports.history import DeploymentHistory
from headrace.ports.registry import ModelRegistry
from headrace.specs.deployment import Deployment, DeploymentRequest, EventKind, Origin, Slot, last_live
from headrace.specs.serving import EnsembleSpec, SlotMember
from headrace.specs.step import PromoteResult, PromoteStep
from headrace.specs.training import Candidate
from headrace.usecases.deploy.reconcile import Reconciler
from headrace.usecases.deploy.slots import is_rejected


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
    """Chooses what should serve, and has it made so."""

    registry: ModelRegistry
    history: DeploymentHistory
    reconciler: Reconciler

    def promote(self, step: PromoteStep) -> PromoteResult:
        """Choose the best candidates on validation and make them serve. A retry of the step makes no second revision.

        Raises:
            InvalidSpecError: there are fewer candidates than the ensemble has slots; those that a rollback rejected do not count.
            DeploymentFailedError: they do not start, or answer otherwise than at training; what served before serves, and the
                aliases say so. Likewise NotFoundError and CorruptError of a version that cannot be served at all.
        """
        ensemble = step.pipeline.ensemble
        eligible = [each for each in step.candidates if not is_rejected(self.registry, ensemble.model, each.version)]
        ranking = rank(eligible, ensemble.metric)
        if len(ranking) < step.size:
            rejected = len(step.candidates) - len(eligible)
            raise InvalidSpecError(
                f"{len(ranking)} candidate(s) cannot fill an ensemble of {step.size}"
                + (f" ({rejected} rejected)" * bool(rejected)),
                where=f"run {step.run}",
                remedy="Look at why the other members have none, or ask for a smaller ensemble.",
            )
        deployment = self.reconciler.deploy(ensemble, _request(step, ranking))
        return self._result(ensemble, deployment, ranking)

    def _result(self, ensemble: EnsembleSpec, deployment: Deployment, ranking: Sequence[Candidate]) -> PromoteResult:
        history = self.history.deployments(ensemble.name)
        former = last_live(each for each in history if each.revision < deployment.revision)
        no_members: tuple[SlotMember, ...] = ()
        return PromoteResult(
            endpoint=self.reconciler.rollout.endpoint(ensemble),
            members=deployment.members,
            former=former.members if former else no_members,
            digest=next(event.digest for event in deployment.events if event.kind is EventKind.LIVE),
            revision=deployment.revision,
            ranking=tuple(ranking),
        )


def _request(step: PromoteStep, ranking: Sequence[Candidate]) -> DeploymentRequest:
    slots = (Slot(slot=number, version=choice.version) for number, choice in enumerate(ranking[: step.size], start=1))
    return DeploymentRequest(
        ensemble=step.pipeline.ensemble.name,
        slots=tuple(slots),
        origin=Origin.PROMOTION,
        who=f"pipeline {step.pipeline.name}",
        why=f"the best {step.size} of {len(ranking)} candidates by {step.pipeline.ensemble.metric}",
        run=step.run,
    )
