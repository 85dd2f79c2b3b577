"""A revision's time as a canary: against what it is tried, and how that goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.errors import ForbiddenError, UnavailableError
from headrace.ports.clock import Clock
from headrace.specs.canary import CanaryMode, CanarySpec
from headrace.specs.deployment import Deployment, EventKind, Origin, last_live
from headrace.specs.serving import EnsembleSpec
from headrace.usecases.canary.agreement import agreement
from headrace.usecases.canary.decide import Decision, Outcome, decide
from headrace.usecases.deploy.rollout import FilledGraph, Rollout

_TRIED = (Origin.PROMOTION, Origin.REGISTRY)
"""A rollback goes back at once, and who joins in a run is chosen from once more."""
_UNREADABLE = 2
"""For how many times its duration a canary's figures may be out of reach before it goes back for that."""


@dataclass(frozen=True)
class Trial:
    """That a revision is to be a canary first: by which limits, and beside which other one."""

    canary: CanarySpec
    former: Deployment

    @property
    def began(self) -> str:
        """How the history says so."""
        share = f"{self.canary.percent} of the requests beside revision {self.former.revision}"
        return f"a shadow: asked {share}, it answers nobody" if self.canary.mode is CanaryMode.SHADOW else f"it answers {share}"


def trial(ensemble: EnsembleSpec, history: Sequence[Deployment], deployment: Deployment) -> Trial | None:
    """Whether a revision has to be, or still is, a canary before it goes live; None when it has not."""
    former, passed = last_live(history), deployment.live is not None or deployment.outcome is EventKind.CONFIRMED
    if ensemble.canary is None or former is None or passed or deployment.request.origin not in _TRIED:
        return None
    return None if former.request.slots == deployment.request.slots else Trial(ensemble.canary, former)


def judge(rollout: Rollout, clock: Clock, trial: Trial, deployment: Deployment, graph: FilledGraph) -> Decision:
    """Look at the graph and at the figures, and decide.

    Raises:
        DeploymentFailedError: the graph is not ready any more.
        UnavailableError, ForbiddenError: they cannot be read, and it is not yet too late to wait for that.
    """
    rollout.check(graph)
    canary, began = trial.canary, deployment.canary
    elapsed = clock() - (began.at if began else clock())
    try:
        figures = rollout.figures(graph.ensemble)
    except (UnavailableError, ForbiddenError) as error:
        if elapsed < _UNREADABLE * canary.duration:
            raise
        return Decision(Outcome.BACK, f"what was counted cannot be read: {error}")
    return decide(canary, figures, elapsed=elapsed, agreement=agreement(rollout.store, graph.former, graph.members))
