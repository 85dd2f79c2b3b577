"""A platform over the fakes of a `deployment_world.World`, whose ensemble is the one that its project declares."""

from __future__ import annotations

from types import SimpleNamespace

from deployment_world import MODEL
from headrace import bootstrap


class Installation(bootstrap.Platform):
    """What an edge is given in place of the real one; it never asks for the settings' services."""

    def __init__(self, world):
        super().__init__()
        self.history, self.reconciler = world.history, world.reconciler
        self.registry = self.registry_watch = world.registry
        self.declared_ensembles = SimpleNamespace(by_name=lambda: {MODEL: world.ensemble})
