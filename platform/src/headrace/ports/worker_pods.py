"""A training job's pods on a cluster: what is asked of the API server, from nothing to gone.

Asynchronous, because one process follows many jobs at once. Every method may raise UnavailableError (the API server does not
answer now; ask again) or ForbiddenError (the account lacks a right; asking again is no use).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

Manifest = dict[str, Any]
Amounts = Mapping[str, Decimal]
"""Resources by their name in a quota (`requests.cpu`, `limits.memory`, `pods`), in cores, bytes and pieces."""


class JobPhase(StrEnum):
    """How far a job is."""

    SUSPENDED = "suspended"
    """It has no pods, and waits to be admitted."""
    ACTIVE = "active"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class JobState:
    """A job at one moment.

    Attributes:
        uid: tells it from an earlier job of the same name.
        needs: what all its pods together ask of a quota.
        queue: Kueue's, which admits it; empty when nobody but its follower does.
        owner: who follows it (see `claim`).
        admitted: since when it is active.
        reason: why it failed, in Kubernetes' words.
        positions: by rank, up to where its workers' logs have been read (see `mark`).
        deleting: it is on its way out.
    """

    uid: str
    phase: JobPhase
    needs: Amounts
    queue: str = ""
    owner: str = ""
    admitted: datetime | None = None
    reason: str = ""
    positions: Mapping[int, str] = field(default_factory=dict)
    deleting: bool = False


class EndingKind(StrEnum):
    """What ended a worker."""

    DONE = "done"
    EXIT = "exit"
    """It went by itself, badly."""
    PEER_LOST = "peer lost"
    """It went because it missed another."""
    KILLED = "killed"
    """By a signal, the kernel, the kubelet or the scheduler."""
    DELETED = "deleted"
    """Somebody took its pod away."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a worker ended.

    Attributes:
        how: in words that follow its name: `ended with exit code 1`.
        at: when; a second's precision.
    """

    kind: EndingKind
    how: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class WorkerPod:
    """A worker's pod at one moment.

    Attributes:
        name: of the pod.
        started: its container has run or runs, so there is a log.
        waits: why it does not run, in the scheduler's or the kubelet's words; empty when it does, or is merely on its way.
        ending: None while it has not ended.
    """

    rank: int
    name: str
    started: bool = False
    waits: str = ""
    ending: Ending | None = None


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A ResourceQuota that counts for a job's pods.

    Attributes:
        hard: the limits.
        used: of them, by pods that exist and by those that jobs already admitted have yet to create.
    """

    name: str
    hard: Amounts
    used: Amounts


@dataclass(frozen=True)
class LoggedLine:
    """A line of a worker's log.

    Attributes:
        at: RFC 3339 with nanoseconds, as the kubelet wrote it; later lines compare greater.
        text: without its end.
    """

    at: str
    text: str


class WorkerPods(Protocol):
    """The jobs of one namespace, by name. A name is a lock: of one name there is never more than one job."""

    async def find(self, name: str) -> JobState | None:
        """The job of that name, None when there is none."""
        ...

    async def create(self, job: Manifest, service: Callable[[str], Manifest], *, owner: str) -> bool:
        """Create the job, suspended, and its service; False when there is a job of that name already, which is left as it is.

        The service is made either way if it is missing, so a caller that died between the two is no harm.

        Args:
            job: its manifest.
            service: its service's manifest, from the job's uid; it belongs to the job and goes with it.
            owner: see `claim`.
        """
        ...

    async def claim(self, name: str, *, owner: str) -> JobState:
        """Say who follows the job from now on, so that whoever did before can no longer delete it. Returns its state then.

        Raises:
            NotFoundError: there is no such job.
        """
        ...

    async def delete(self, name: str, *, owner: str | None = None) -> bool:
        """Delete the job with its pods and service, and return when they are gone; True when nothing is left of it.

        Args:
            name: of the job; that there is none is fine.
            owner: leave the job alone, and return False, unless it is this one's.
        """
        ...

    async def admit(self, name: str) -> None:
        """Let the job create its pods. Does nothing to a job that is active or gone."""
        ...

    async def suspend(self, name: str) -> None:
        """Take the job's pods away and let it wait. Does nothing to a job that has ended or is gone."""
        ...

    async def mark(self, name: str, positions: Mapping[int, str]) -> None:
        """Note on the job up to where the logs of its workers have been read: by rank, `LoggedLine.at` of the last line."""
        ...

    async def workers(self, uid: str) -> Sequence[WorkerPod]:
        """The job's pods that exist, by rank."""
        ...

    async def complaints(self, uid: str) -> Sequence[str]:
        """Why the job's pods cannot be created, the latest last, in the words of whoever refused."""
        ...

    async def removed(self, uid: str) -> frozenset[str]:
        """Names of pods that the cluster itself took away because the job had failed, or was suspended."""
        ...

    async def quotas(self, uid: str) -> Sequence[Quota]:
        """What limits the pods of a suspended job."""
        ...

    def log(self, pod: str, *, after: str = "") -> AsyncIterator[LoggedLine]:
        """Follow a pod's log from its begin, or after the line with that `at`, until its container ends.

        It may break off before, without a word, and may repeat lines: ask again from the last one.

        Raises:
            NotFoundError: there is no such pod, or its container has not started.
        """
        ...

    async def tail(self, pod: str, *, lines: int) -> Sequence[str]:
        """The last lines of a pod's log; none when it has none, or is gone."""
        ...
