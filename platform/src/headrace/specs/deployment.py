"""A deployment: one revision of what serves, from who asked for it to how it ended.

A revision never changes. What happens to it is told by events, which are only ever added; everything else that one may want
to know of it is derived from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, field_validator

from headrace.specs.base import Spec
from headrace.specs.dataset import Name
from headrace.specs.serving import SlotMember, slot_alias

MAX_SLOTS = 8
REJECTED_TAG = "headrace.rejected"
"""Of a version that a rollback took out of the choice: why. Whoever releases the version removes the tag."""


class Origin(StrEnum):
    """Where the wish for a deployment came from."""

    PROMOTION = "promotion"
    """The final choice of a pipeline's run, or a person's."""
    JOIN = "join"
    """A candidate joined an ensemble that is not full yet."""
    ROLLBACK = "rollback"
    REGISTRY = "registry"
    """Somebody moved an alias."""


class EventKind(StrEnum):
    """What may happen to a deployment."""

    REQUESTED = "requested"
    ALIASED = "aliased"
    """The registry's aliases say so."""
    CANARY = "canary"
    """A share of the requests goes to it, beside what serves (with the digest of the document that does so)."""
    CONFIRMED = "confirmed"
    """As a canary it was not worse than what serves; the detail says by which figures."""
    WITHDRAWN = "withdrawn"
    """As a canary it was worse, or had too few requests to tell; the detail says which, with the figures."""
    LIVE = "live"
    """It serves, and its answers are those recorded at training."""
    FAILED = "failed"
    """It did not start, or answered otherwise; the detail is the reason."""
    RESTORED = "restored"
    """After a failure or a withdrawal, the aliases and the graph are those of the last live revision again."""
    SUPERSEDED = "superseded"
    """A newer wish came before it went live."""
    REPAIRED = "repaired"
    """Drift was put right: of the graph (with the digest of the document), or of the aliases, which are said to be wrong first
    and are `aliased` again once they are right."""
    KEPT = "kept"
    """A registered version that serves was deleted; serving keeps its copy."""


_OUTCOMES = (
    EventKind.RESTORED,
    EventKind.FAILED,
    EventKind.WITHDRAWN,
    EventKind.LIVE,
    EventKind.SUPERSEDED,
    EventKind.CONFIRMED,
    EventKind.CANARY,
    EventKind.ALIASED,
    EventKind.REQUESTED,
)
"""The events that decide, the strongest first."""


_TRIED = frozenset({EventKind.LIVE, EventKind.FAILED, EventKind.WITHDRAWN, EventKind.SUPERSEDED})
"""The events that end a canary."""


class Slot(Spec):
    """One slot of what is asked for."""

    slot: int = Field(ge=1)
    version: int = Field(ge=1)
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """What the version's vote counts in the ensemble's mean, beside those of the others."""

    @property
    def alias(self) -> str:
        """The registry alias that stands for the slot."""
        return slot_alias(self.slot)


class DeploymentRequest(Spec):
    """What should serve, who wants it, and why."""

    ensemble: Name
    slots: tuple[Slot, ...] = Field(min_length=1, max_length=MAX_SLOTS)
    """By ascending number."""
    origin: Origin
    who: str
    why: str
    run: str = ""
    """The pipeline's run that asks; empty for a person."""
    verdicts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """The gate's verdicts, by version."""
    rejects: tuple[int, ...] = ()
    """Versions that this rollback takes out of the choice of later promotions."""

    @field_validator("slots")
    @classmethod
    def _ascending(cls, slots: tuple[Slot, ...]) -> tuple[Slot, ...]:
        numbers = [slot.slot for slot in slots]
        if numbers != sorted(set(numbers)):
            raise ValueError(f"slots must be numbered in ascending order, each once; got {numbers}")
        return slots

    @property
    def aliases(self) -> dict[str, int]:
        """What the registry's slots should say."""
        return {slot.alias: slot.version for slot in self.slots}

    @property
    def versions(self) -> tuple[int, ...]:
        """In the slots' order."""
        return tuple(slot.version for slot in self.slots)


class DeploymentEvent(Spec):
    """One thing that happened to a deployment."""

    kind: EventKind
    at: datetime
    detail: str = ""
    digest: str = ""
    """Of the document that was live then; empty where none is meant."""


class Deployment(Spec):
    """One revision of what serves an ensemble."""

    revision: int = Field(ge=1)
    """Counts from 1, an ensemble."""
    request: DeploymentRequest
    members: tuple[SlotMember, ...] = ()
    """The filled slots, once their files were published."""
    events: tuple[DeploymentEvent, ...] = Field(min_length=1)
    """In the order they happened; the first is `requested`."""

    @property
    def requested(self) -> datetime:
        """When it was asked for."""
        return self.events[0].at

    @property
    def live(self) -> datetime | None:
        """Since when it serves, or served; None when it never did."""
        return next((event.at for event in self.events if event.kind is EventKind.LIVE), None)

    @property
    def outcome(self) -> EventKind:
        """How it stands: the strongest of its events; repairs, and what was kept, do not count."""
        kinds = {event.kind for event in self.events}
        return next(kind for kind in _OUTCOMES if kind in kinds)

    @property
    def reason(self) -> str:
        """Why it failed or was withdrawn, or what superseded it; empty when none of these happened."""
        told = (EventKind.FAILED, EventKind.WITHDRAWN, EventKind.SUPERSEDED)
        return next((event.detail for event in self.events if event.kind in told), "")

    @property
    def pending(self) -> bool:
        """Whether it may still go live."""
        return self.on_trial or self.outcome in {EventKind.REQUESTED, EventKind.ALIASED}

    @property
    def on_trial(self) -> bool:
        """Whether it is a canary: a share of the requests is its own, and the rest not yet."""
        return self.outcome in {EventKind.CANARY, EventKind.CONFIRMED}

    @property
    def canary(self) -> DeploymentEvent | None:
        """How it began to be a canary; None when it never was one."""
        return next((event for event in self.events if event.kind is EventKind.CANARY), None)

    @property
    def to_restore(self) -> bool:
        """Whether it failed or was withdrawn, and what served before is not back yet."""
        return self.outcome in {EventKind.FAILED, EventKind.WITHDRAWN}

    @property
    def aliases_due(self) -> bool:
        """Whether its aliases were said to be wrong and are not put right yet."""
        told = [event for event in self.events if event.kind is EventKind.ALIASED or _of_aliases(event)]
        return bool(told) and told[-1].kind is EventKind.REPAIRED


class Reconciliation(Spec):
    """What one pass over an ensemble found and did."""

    ensemble: str
    revision: int | None
    """The one that serves now; None when nothing does."""
    done: tuple[str, ...] = ()
    """In words, in order; empty when everything was as desired."""
    waits: str = ""
    """What a canary that is on waits for, with its figures up to now; empty when none is."""


def last_live(history: Iterable[Deployment]) -> Deployment | None:
    """The revision that serves by a history, oldest first; None when nothing ever did."""
    found = None
    for deployment in history:
        if deployment.live is not None:
            found = deployment
    return found


def live_at(history: Iterable[Deployment], moment: datetime) -> Deployment | None:
    """The revision that served then, by a history, oldest first; None when nothing did yet."""
    return last_live(deployment for deployment in history if deployment.live is not None and deployment.live <= moment)


def canary_at(history: Iterable[Deployment], moment: datetime) -> Deployment | None:
    """The revision that was a canary then, by a history; None when none was."""
    for deployment in history:
        told = [event.kind for event in deployment.events if event.at <= moment]
        if EventKind.CANARY in told and not _TRIED.intersection(told):
            return deployment
    return None


def ended(history: Sequence[Deployment], deployment: Deployment) -> datetime | None:
    """When the revision stopped serving: the moment the next one went live. None while it serves, or when it never did.

    One ends where the next begins, so that a history has neither gaps nor overlaps.
    """
    if deployment.live is None:
        return None
    later = (each.live for each in history if each.revision > deployment.revision)
    return next((live for live in later if live is not None), None)


def _of_aliases(event: DeploymentEvent) -> bool:
    return event.kind is EventKind.REPAIRED and not event.digest
