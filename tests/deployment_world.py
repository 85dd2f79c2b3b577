"""A small world to deploy in: a registry with versions to serve, a serving backend, a history; all of them fakes."""

from __future__ import annotations

import io
import json

import numpy as np

from builders import candidate, pipeline
from fakes import FakeLocks, FakeStore
from fakes_deployment import FakeHistory
from fakes_promotion import FakeRegistry, FakeServing, fake_probabilities
from headrace.render.seldon import ServingTarget, members_of
from headrace.specs.deployment import DeploymentRequest, Origin, Slot
from headrace.specs.step import PromoteStep
from headrace.usecases.deploy.reconcile import Reconciler
from headrace.usecases.deploy.rollback import rollback_request
from headrace.usecases.deploy.rollout import Rollout
from headrace.usecases.promote import Promoter

SPACE = "test"
MODEL = "shoes"


def model_files(version):
    """What training logs of a version, as far as serving needs it."""
    inputs = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    golden = io.BytesIO()
    np.savez(golden, inputs=inputs, outputs=fake_probabilities(inputs, version).astype(np.float32))
    return {"model.onnx": b"onnx %d" % version, "model.json": json.dumps({}).encode(), "golden.npz": golden.getvalue()}


class World:
    """An ensemble `shoes` of the model `shoes`, and everything that moves it.

    Args:
        between: stands between the use cases and registry, serving backend, store and history, as a test likes.
    """

    def __init__(self, between=lambda port: port):
        self.registry, self.serving, self.store = FakeRegistry(), FakeServing(), FakeStore()
        self.history, self.pipeline = FakeHistory(), pipeline()
        self.ensemble = self.pipeline.ensemble
        registry, serving, history = between(self.registry), between(self.serving), between(self.history)
        store = between(self.store)
        self.reconciler = Reconciler(
            registry=registry,
            history=history,
            rollout=Rollout(registry=registry, serving=serving, store=store, target=ServingTarget(namespace=SPACE)),
            locks=FakeLocks(),
        )
        self.promoter = Promoter(registry=registry, history=history, reconciler=self.reconciler)

    def register(self, name):
        """Register another version, and return its number."""
        registered = self.registry.register(
            model=MODEL, model_uri=f"models:/m-{name}", run_id=f"run-{name}", description="", tags={}
        )
        self.registry.files[MODEL, registered.version] = model_files(registered.version)
        return registered.version

    def candidate(self, member, accuracy):
        return candidate(member, self.register(member), validation_accuracy=accuracy)

    def promote(self, *candidates, size=2, run="r"):
        return self.promoter.promote(PromoteStep(pipeline=self.pipeline, run=run, candidates=candidates, size=size))

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
