"""Promotion: which candidates of a run should serve together. What it takes until they do is the reconciler's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headrace.errors import CorruptError, InvalidSpecError
from headrace.ports.history import DeploymentHistory
from headrace.ports.registry import ModelRegistry
from headrace.ports.store import ObjectStore
from headrace.specs.deployment import Deployment, DeploymentRequest, EventKind, Origin, Slot, last_live
from headrace.specs.step import PromoteResult, PromoteStep
from headrace.usecases.deploy.reconcile import Reconciler
from headrace.usecases.deploy.slots import is_rejected
from headrace.usecases.ensemble import Selection, select
from headrace.usecases.gate.predictions import Predictions, load_predictions
from headrace.usecases.gate.statistics import Answers
from headrace.usecases.progressive import failed_to_join


@dataclass(frozen=True, kw_only=True)
class Promoter:
    """Chooses what should serve, and has it made so."""

    registry: ModelRegistry
    history: DeploymentHistory
    store: ObjectStore
    reconciler: Reconciler

    def promote(self, step: PromoteStep) -> PromoteResult:
        """Choose the candidates that do best together on validation, and make them serve. A retry makes no second revision.

        Raises:
            InvalidSpecError: there are fewer candidates than the ensemble's minimum; those that a rollback rejected, or that
                failed when they joined in this run, do not count.
            NotFoundError: a candidate was never measured on the step's dataset version, or cannot be served at all.
            CorruptError: candidates were not measured on the same examples, or a version lacks a file that serving needs.
            DeploymentFailedError: they do not start, or answer otherwise than at training; what served before serves, and the
                aliases say so.
        """
        ensemble = step.pipeline.ensemble
        left_out = self._left_out(step)
        measured = self._measured(step, [each.version for each in step.candidates if each.version not in left_out])
        selection = _selection(step, measured, left_out)
        serving = last_live(self.history.deployments(ensemble.name))
        slots = fill_slots(selection.weights, serving.request.slots if serving else ())
        deployment = self.reconciler.deploy(ensemble, _request(step, selection, slots, count=len(measured)))
        return self._result(step, deployment, selection, measured, left_out)

    def _left_out(self, step: PromoteStep) -> Mapping[int, str]:
        """The candidates that must not be chosen, and why."""
        ensemble = step.pipeline.ensemble
        failed = failed_to_join(self.history.deployments(ensemble.name), step.run)
        left_out = {}
        for candidate in step.candidates:
            version = candidate.version
            if is_rejected(self.registry, ensemble.model, version):
                left_out[version] = "rejected by a rollback"
            elif version in failed:
                left_out[version] = f"failed when it joined: {failed[version]}"
        return left_out

    def _measured(self, step: PromoteStep, versions: Sequence[int]) -> Mapping[int, Predictions]:
        model = step.pipeline.ensemble.model
        return {version: load_predictions(self.store, step.dataset, model, version) for version in versions}

    def _result(
        self,
        step: PromoteStep,
        deployment: Deployment,
        selection: Selection,
        measured: Mapping[int, Predictions],
        left_out: Mapping[int, str],
    ) -> PromoteResult:
        history = self.history.deployments(deployment.request.ensemble)
        former = last_live(each for each in history if each.revision < deployment.revision)
        return PromoteResult(
            endpoint=self.reconciler.rollout.endpoint(step.pipeline.ensemble),
            members=deployment.members,
            former=former.members if former else (),
            digest=next(event.digest for event in deployment.events if event.kind in {EventKind.LIVE, EventKind.CANARY}),
            revision=deployment.revision,
            on_trial=deployment.on_trial,
            accuracy=selection.score.accuracy,
            alone={str(version): float(found.right.mean()) for version, found in measured.items()},
            left_out={str(version): reason for version, reason in left_out.items()},
        )


def fill_slots(weights: Mapping[int, float], serving: Sequence[Slot]) -> tuple[Slot, ...]:
    """Slots from 1 for the chosen versions; one that serves keeps its slot, so that its node need not start anew.

    Args:
        weights: by version, in the order of the choice; the slots that are left are filled in it.
        serving: the slots as they serve.
    """
    kept = {slot.slot: slot.version for slot in serving if slot.version in weights and slot.slot <= len(weights)}
    others = iter([version for version in weights if version not in kept.values()])
    versions = [kept[number] if number in kept else next(others) for number in range(1, len(weights) + 1)]
    return tuple(Slot(slot=number, version=version, weight=weights[version]) for number, version in enumerate(versions, start=1))


def _selection(step: PromoteStep, measured: Mapping[int, Predictions], left_out: Mapping[int, str]) -> Selection:
    ensemble = step.pipeline.ensemble
    try:
        return select(
            {version: found.probabilities for version, found in measured.items()},
            _labels(measured),
            size=step.size,
            minimum=ensemble.minimum,
            weighted=ensemble.weighted,
        )
    except InvalidSpecError as error:
        told = [f"Version {version} was {reason}." for version, reason in left_out.items()]
        raise InvalidSpecError(error.what, where=f"run {step.run}", remedy=" ".join([*told, error.remedy])) from error


def _labels(measured: Mapping[int, Predictions]) -> Answers:
    """The truth that all were held against."""
    labels = [found.labels for found in measured.values()] or [np.empty(0, np.int64)]
    if not all(np.array_equal(each, labels[0]) for each in labels):
        raise CorruptError(f"the versions {sorted(measured)} were not measured on the same examples")
    return labels[0]


def _request(step: PromoteStep, selection: Selection, slots: tuple[Slot, ...], *, count: int) -> DeploymentRequest:
    together, best = selection.score.accuracy, selection.path[0].score.accuracy
    return DeploymentRequest(
        ensemble=step.pipeline.ensemble.name,
        slots=slots,
        origin=Origin.PROMOTION,
        who=step.who,
        why=f"{len(slots)} of {count} candidates chosen on validation: {together:.4f} right, the best alone {best:.4f}",
        run=step.run,
        verdicts={
            str(verdict.version): verdict.model_dump(mode="json")
            for verdict in step.verdicts
            if verdict.version in selection.weights
        },
    )
