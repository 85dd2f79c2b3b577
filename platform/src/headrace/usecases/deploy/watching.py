"""Watching for what is asked for and not done, as often as one likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headrace.ports.clock import Clock
from headrace.ports.history import DeploymentHistory
from headrace.ports.registry import RegistryWatch
from headrace.specs.deployment import Deployment
from headrace.specs.serving import EnsembleSpec
from headrace.usecases.deploy.desired import under_way, unreconciled


class DesireWatch:
    """Compares the registry with the histories; a look costs a request and a count an ensemble.

    A history only grows, and with the years long: it is read again when it has.
    """

    def __init__(self, *, registry: RegistryWatch, history: DeploymentHistory, clock: Clock) -> None:
        self._registry, self._history, self._clock = registry, history, clock
        self._read: dict[str, tuple[int, Sequence[Deployment]]] = {}

    def desires(self, ensembles: Mapping[str, EnsembleSpec]) -> dict[str, str]:
        """The ensembles that do not serve what is desired, each with a text that changes whenever what is desired does.

        Left out is what somebody is about to do: see `under_way`.
        """
        found = {}
        for name, spec in ensembles.items():
            history = self._deployments(name)
            desire = unreconciled(history, self._registry.aliases(spec.model))
            if desire and not under_way(history, self._clock()):
                found[name] = desire
        return found

    def _deployments(self, ensemble: str) -> Sequence[Deployment]:
        count = self._history.count_events(ensemble)
        known = self._read.get(ensemble)
        if known is None or known[0] != count:
            known = self._read[ensemble] = (count, self._history.deployments(ensemble))
        return known[1]
