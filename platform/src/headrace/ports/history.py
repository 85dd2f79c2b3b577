"""The history of what serves: every deployment of every ensemble, and what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from headrace.specs.deployment import Deployment, DeploymentRequest, EventKind
from headrace.specs.serving import SlotMember


class DeploymentHistory(Protocol):
    """Deployments and their events. Rows are only ever added. All methods may raise UnavailableError.

    Moments are the history's own clock's, so that they are in order whoever records.
    """

    def request(self, request: DeploymentRequest) -> Deployment:
        """Make the request the ensemble's next revision, `requested`; of several callers at once each gets one of its own."""
        ...

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
        """Add an event to a revision, and return it as it now stands.

        Args:
            ensemble: whose revision it is.
            revision: which.
            kind: what happened.
            detail: in words.
            digest: of the document that is live now; empty where none is meant.
            members: the filled slots, from when their files are published.

        Raises:
            NotFoundError: there is no such revision.
        """
        ...

    def deployments(self, ensemble: str) -> Sequence[Deployment]:
        """All revisions, oldest first; empty for an ensemble never deployed."""
        ...

    def deployment(self, ensemble: str, revision: int) -> Deployment:
        """One revision.

        Raises:
            NotFoundError: there is no such revision.
        """
        ...

    def count_events(self, ensemble: str) -> int:
        """How many events there are of all its revisions; cheap, so that a watcher reads a history only when it has grown."""
        ...

    def ensembles(self) -> Sequence[str]:
        """The names of all that were ever deployed, sorted."""
        ...
