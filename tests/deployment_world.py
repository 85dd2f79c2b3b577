"""A small world to deploy in: a registry with versions to serve, a serving backend, a history; all of them fakes."""

from __future__ import annotations

import io
import json

import numpy as np

from builders import candidate, dataset_version, pipeline, verdict
from fakes import FakeLocks, FakeStore
from fakes_deployment import FakeHistory
from fakes_promotion import FakeRegistry, FakeServing, fake_probabilities
from headrace.render.seldon import ServingTarget, members_of
from headrace.specs.deployment import DeploymentRequest, Origin, Slot
from headrace.specs.step import PromoteStep
from headrace.usecases.deploy.reconcile import Reconciler
from headrace.usecases.deploy.rollback import rollback_request
from headrace.usecases.deploy.rollout import Rollout
from headrace.usecases.gate.predictions import Predictions, store_predictions
from headrace.usecases.promote import Promoter

SPACE = "test"
MODEL = "shoes"


def model_files(version):
    """What training logs of a version, as far as serving needs it."""
    inputs = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    golden = io.BytesIO()
    np.savez(golden, inputs=inputs, outputs=fake_probabilities(inputs, version).astype(np.float32))
    return {"model.onnx": b"onnx %d" % version, "model.json": json.dumps({}).encode(), "golden.npz": golden.getvalue()}


def predictions(accuracy, rows=100):
    """Of the gate: right on the first rows. So the better of two is never worse than their mean."""
    right = np.arange(rows) < round(accuracy * rows)
    labels = np.arange(rows) % 2
    of_label = np.where(right, 0.9, 0.4).astype(np.float32)
    first = np.where(labels == 0, of_label, 1 - of_label)
    return Predictions(np.stack([first, 1 - first], axis=1), labels)


class World:
    """An ensemble `shoes` of at least two versions of the model `shoes`, and everything that moves it.

    Args:
        between: stands between the use cases and registry, serving backend, store and history, as a test likes.
        canary: as the ensemble's spec says it.
    """

    def __init__(self, between=lambda port: port, canary=None):
        self.registry, self.serving, self.store = FakeRegistry(), FakeServing(), FakeStore()
        self.history = FakeHistory()
        self.pipeline = pipeline(ensemble={"name": MODEL, "model": MODEL, "minimum": 2, "canary": canary})
        self.ensemble = self.pipeline.ensemble
        registry, serving, history = between(self.registry), between(self.serving), between(self.history)
        store = between(self.store)
        self.reconciler = Reconciler(
            registry=registry,
            history=history,
            rollout=Rollout(registry=registry, serving=serving, store=store, target=ServingTarget(namespace=SPACE)),
            locks=FakeLocks(),
            clock=self.history.now,
        )
        self.promoter = Promoter(registry=registry, history=history, store=self.store, reconciler=self.reconciler)

    def register(self, name):
        """Register another version, and return its number."""
        registered = self.registry.register(
            model=MODEL, model_uri=f"models:/m-{name}", run_id=f"run-{name}", description="", tags={}
        )
        self.registry.files[MODEL, registered.version] = model_files(registered.version)
        return registered.version

    def candidate(self, member, accuracy):
        """Register a version that its gate has measured."""
        made = candidate(member, self.register(member), validation_accuracy=accuracy)
        store_predictions(self.store, dataset_version(), MODEL, made.version, predictions(accuracy))
        return made

    def promote(self, *candidates, size=2, run="r"):
        return self.promoter.promote(self.promotion(*candidates, size=size, run=run))

    def promotion(self, *candidates, size=2, run="r", pipeline=None):
        """The step that promotes them, as they have passed their gates."""
        return PromoteStep(
            pipeline=pipeline or self.pipeline,
            run=run,
            candidates=candidates,
            verdicts=tuple(verdict(each.version) for each in candidates),
            dataset=dataset_version(),
            size=size,
            who="ada",
        )

    def deploy(self, *versions, weights=None, why="because"):
        """Have these versions serve, in slots from 1."""
        weights = weights or [1.0] * len(versions)
        pairs = enumerate(zip(versions, weights, strict=True), start=1)
        slots = tuple(Slot(slot=slot, version=version, weight=weight) for slot, (version, weight) in pairs)
        request = DeploymentRequest(ensemble=MODEL, slots=slots, origin=Origin.PROMOTION, who="ada", why=why)
        return self.reconciler.deploy(self.ensemble, request)

    def rollback(self, to=None, why="worse"):
        request = rollback_request(
            self.history.deployments(MODEL), ensemble=self.ensemble, registry=self.registry, to=to, who="ada", why=why
        )
        return self.reconciler.deploy(self.ensemble, request)

    def reconcile(self):
        return self.reconciler.reconcile(self.ensemble, who="ada")

    @property
    def aliases(self):
        return dict(self.registry.aliases(MODEL))

    @property
    def live_members(self):
        document = self.serving.get(SPACE, MODEL)
        return members_of(document) if document else ()

    @property
    def live_versions(self):
        """What serves, by alias."""
        return {member.alias: member.version for member in self.live_members}

    def outcomes(self):
        return [str(deployment.outcome) for deployment in self.history.deployments(MODEL)]

    def events(self, revision):
        return [(str(event.kind), event.detail) for event in self.history.deployment(MODEL, revision).events]
