"""A written fake of the history of deployments. It keeps the port's contract; tests/contract/test_history.py says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from headrace.errors import NotFoundError
from headrace.specs.deployment import Deployment, DeploymentEvent, DeploymentRequest, EventKind
from headrace.specs.serving import SlotMember


class FakeHistory:
    """`ports.history.DeploymentHistory` in memory; a second passes from event to event."""

    def __init__(self) -> None:
        self._deployments: dict[str, list[Deployment]] = {}
        self._now = datetime(2026, 11, 21, 11, tzinfo=UTC)

    def request(self, request: DeploymentRequest) -> Deployment:
        revisions = self._deployments.setdefault(request.ensemble, [])
        revisions.append(
            Deployment(revision=len(revisions) + 1, request=request, events=(self._event(EventKind.REQUESTED, "", ""),))
        )
        return revisions[-1]

    def record(
        self,
        ensemble: str,
        revision: int,
        kind: EventKind,
        *,
        detail: str = "",
        digest: str = "",
        members: Sequence[SlotMember] = (),
    ) -> Deployment:
        known = self.deployment(ensemble, revision)
        events = (*known.events, self._event(kind, detail, digest))
        changed = known.model_copy(update={"events": events, "members": tuple(members) or known.members})
        self._deployments[ensemble][revision - 1] = changed
        return changed

    def deployments(self, ensemble: str) -> Sequence[Deployment]:
        return list(self._deployments.get(ensemble, []))

    def deployment(self, ensemble: str, revision: int) -> Deployment:
        for known in self.deployments(ensemble):
            if known.revision == revision:
                return known
        raise NotFoundError(f"ensemble {ensemble} has no revision {revision}")

    def count_events(self, ensemble: str) -> int:
        return sum(len(each.events) for each in self.deployments(ensemble))

    def ensembles(self) -> Sequence[str]:
        return sorted(self._deployments)

    def now(self) -> datetime:
        """The moment of the last event, and whatever was waited since; a clock."""
        return self._now

    def wait(self, time: timedelta) -> None:
        """Let time pass."""
        self._now += time

    def _event(self, kind: EventKind, detail: str, digest: str) -> DeploymentEvent:
        self._now += timedelta(seconds=1)
        return DeploymentEvent(kind=kind, at=self._now, detail=detail, digest=digest)
