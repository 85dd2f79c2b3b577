"""Serving progressively: the candidates of a run join what serves one by one, before its final choice replaces them.

Until then all weigh the same, because nothing was chosen yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from headrace.ports.history import DeploymentHistory
from headrace.ports.locks import Locks
from headrace.ports.registry import ModelRegistry
from headrace.specs.deployment import Deployment, DeploymentRequest, EventKind, Origin, Slot, last_live
from headrace.specs.serving import Progressive
from headrace.specs.step import JoinResult, JoinStep
from headrace.usecases.deploy.reconcile import Reconciler
from headrace.usecases.deploy.slots import is_rejected


@dataclass(frozen=True)
class Joining:
    """What a candidate that has passed its gate does to what serves.

    Attributes:
        slots: what should serve then; empty when the candidate waits for the final choice.
        reason: why, in words.
    """

    slots: tuple[Slot, ...]
    reason: str


def joining(history: Sequence[Deployment], version: int, *, mode: Progressive, size: int, run: str) -> Joining:
    """What a run's candidate does to what serves.

    Args:
        history: of the ensemble, oldest first.
        version: the candidate's.
        mode: when candidates serve before the final choice.
        size: the most members that may serve.
        run: the candidate's.
    """
    serving, newest = last_live(history), history[-1] if history else None
    if mode is Progressive.NEVER:
        return _waits("what serves changes by the final choice alone")
    if newest and newest.pending and not _is_join(newest, run):
        return _waits(f"revision {newest.revision} is on its way")
    if serving is None:
        return Joining((Slot(slot=1, version=version),), "nothing else serves")
    if version in serving.request.versions:
        return _waits(f"it serves already, as a member of revision {serving.revision}")
    if mode is Progressive.FIRST and not _is_join(serving, run):
        return _waits(f"revision {serving.revision} serves until the final choice")
    return _beside(serving, version, size=size, joined=_joined(history, run))


def failed_to_join(history: Sequence[Deployment], run: str) -> Mapping[int, str]:
    """The versions of a run that did not start or answered otherwise than at training when they joined, and how that showed."""
    failed: dict[int, str] = {}
    serving: tuple[int, ...] = ()
    for deployment in history:
        if deployment.live is not None:
            serving = deployment.request.versions
        elif _is_join(deployment, run) and deployment.outcome in {EventKind.FAILED, EventKind.RESTORED}:
            failed |= {version: deployment.reason for version in deployment.request.versions if version not in serving}
    return {version: reason for version, reason in failed.items() if version not in _joined(history, run)}


def _waits(reason: str) -> Joining:
    return Joining((), reason)


def _is_join(deployment: Deployment, run: str) -> bool:
    return deployment.request.origin is Origin.JOIN and deployment.request.run == run


def _joined(history: Sequence[Deployment], run: str) -> set[int]:
    """The versions that began to serve by joining in the run."""
    joined: set[int] = set()
    before: tuple[int, ...] = ()
    for deployment in history:
        if deployment.live is not None:
            joined |= set(deployment.request.versions).difference(before) if _is_join(deployment, run) else set()
            before = deployment.request.versions
    return joined


def _beside(serving: Deployment, version: int, *, size: int, joined: set[int]) -> Joining:
    """Into a free slot, or else the last one that a member of another run has."""
    filled = {slot.slot: slot.version for slot in serving.request.slots}
    former = [slot for slot, member in filled.items() if member not in joined]
    if len(filled) < size:
        place = next(slot for slot in count(1) if slot not in filled)
        reason = f"slot-{place} is free beside the members of revision {serving.revision}"
    elif former:
        place = former[-1]
        reason = (
            f"it takes slot-{place} of version {filled[place]}, which serves in revision {serving.revision} from before the run"
        )
    else:
        return _waits(f"revision {serving.revision} is full")
    filled[place] = version
    slots = tuple(Slot(slot=slot, version=filled[slot]) for slot in sorted(filled))
    return Joining(slots, reason)


@dataclass(frozen=True, kw_only=True)
class Joiner:
    """Lets candidates join what serves."""

    registry: ModelRegistry
    history: DeploymentHistory
    reconciler: Reconciler
    locks: Locks

    def join(self, step: JoinStep) -> JoinResult:
        """Make the candidate serve beside the run's earlier ones, if it may; one candidate of an ensemble at a time.

        Raises:
            DeploymentFailedError: with it, the graph does not start or answers otherwise than at training; what served before
                serves again.
            UnavailableError: a service does not answer.
        """
        ensemble = step.pipeline.ensemble
        with self.locks.hold(f"join/{ensemble.name}"):
            found = self._joining(step)
            if not found.slots:
                return JoinResult(revision=None, reason=found.reason)
            deployment = self.reconciler.deploy(ensemble, _request(step, found))
        return JoinResult(revision=deployment.revision, reason=found.reason)

    def _joining(self, step: JoinStep) -> Joining:
        ensemble, version = step.pipeline.ensemble, step.candidate.version
        if is_rejected(self.registry, ensemble.model, version):
            return _waits(f"version {version} was rejected by a rollback")
        if not self.history.deployments(ensemble.name):
            self.reconciler.reconcile(ensemble, who=step.who)  # what serves from before there was a history becomes a revision
        history = self.history.deployments(ensemble.name)
        return joining(history, version, mode=ensemble.progressive, size=step.size, run=step.run)


def _request(step: JoinStep, found: Joining) -> DeploymentRequest:
    candidate = step.candidate
    return DeploymentRequest(
        ensemble=step.pipeline.ensemble.name,
        slots=found.slots,
        origin=Origin.JOIN,
        who=step.who,
        why=f"{candidate.member} (version {candidate.version}) passed its gate; {found.reason}",
        run=step.run,
        verdicts={str(candidate.version): step.verdict.model_dump(mode="json")},
    )
