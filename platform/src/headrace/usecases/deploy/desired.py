"""What is desired, read off the registry's aliases and the history. Pure.

Whoever moves an alias changes what should serve, whether that is a use case or a person. The history tells one from the other:
aliases that a revision stands for are its own, all others are somebody's new wish.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from headrace.specs.deployment import MAX_SLOTS, Deployment, EventKind, Slot

UNDER_WAY_WITHIN = timedelta(minutes=1)
"""From one event of a pass to the next, as a rule."""
_SLOT = re.compile(r"slot-([1-9][0-9]*)")


class Wish(Enum):
    """What the aliases mean."""

    NOTHING = auto()
    """Nothing is deployed, and nothing is asked for."""
    STANDING = auto()
    """What the standing revision says."""
    PUT_BACK = auto()
    """Nothing that could serve: they are lost, and the standing revision's are to be put back."""
    NEW = auto()
    """Something that no revision stands for yet."""


@dataclass(frozen=True)
class Desire:
    """What should serve.

    Attributes:
        wish: what the aliases mean.
        standing: the revision that is desired unless the wish is a new one.
        lost: its slots whose version the registry no longer has; serving keeps its copy of them.
        slots: what a new wish asks for.
    """

    wish: Wish
    standing: Deployment | None = None
    lost: tuple[Slot, ...] = ()
    slots: tuple[Slot, ...] = ()


def is_slot(alias: str) -> bool:
    """Whether the alias stands for a slot; people may use others as they like."""
    return _SLOT.fullmatch(alias) is not None


def slots_named(aliases: Mapping[str, int]) -> dict[int, int]:
    """The slots that the aliases fill, by ascending number, with their versions: gaps are left, the first `MAX_SLOTS` count."""
    named = {int(found[1]): version for alias, version in aliases.items() if (found := _SLOT.fullmatch(alias))}
    return {number: named[number] for number in sorted(named)[:MAX_SLOTS]}


def standing(history: Sequence[Deployment]) -> Deployment | None:
    """The newest revision that the aliases were set for and that did not fail, from a history, oldest first."""
    stands = (EventKind.ALIASED, EventKind.LIVE)
    return next((each for each in reversed(history) if each.on_trial or each.outcome in stands), None)


def missing(deployment: Deployment, aliases: Mapping[str, int]) -> tuple[Slot, ...]:
    """The revision's slots that no alias fills, with whichever version."""
    return tuple(slot for slot in deployment.request.slots if slot.alias not in aliases)


def desire(history: Sequence[Deployment], aliases: Mapping[str, int], unregistered: Container[int]) -> Desire:
    """What should serve.

    Args:
        history: oldest first; nothing in it is only `requested`, and no failure is left unfinished.
        aliases: as the registry says.
        unregistered: the versions among the standing revision's `missing` ones that the registry no longer has. Deleting a
            version deletes its aliases, which is no wish.
    """
    named, stands = slots_named(aliases), standing(history)
    slots = tuple(Slot(slot=number, version=version) for number, version in named.items())
    if stands is None:
        return Desire(Wish.NEW, slots=slots) if named else Desire(Wish.NOTHING)
    lost = tuple(slot for slot in missing(stands, aliases) if slot.version in unregistered)
    if stands.aliases_due:
        return Desire(Wish.PUT_BACK, stands, lost)
    if named == {slot.slot: slot.version for slot in stands.request.slots if slot not in lost}:
        return Desire(Wish.STANDING, stands, lost)
    return Desire(Wish.NEW, slots=slots) if named else Desire(Wish.PUT_BACK, stands, lost)


def moved_since(aliases: Mapping[str, int], failed: Deployment, former: Deployment | None) -> bool:
    """Whether somebody wants something newer than a failed revision: an alias is neither its own nor the former revision's."""
    known = {*failed.request.aliases.items(), *(former.request.aliases.items() if former else ())}
    return any(each not in known for each in aliases.items() if is_slot(each[0]))


def kept_text(slot: Slot) -> str:
    """How the history says that a slot's version was deleted while it serves."""
    return f"version {slot.version} ({slot.alias}) was deleted from the registry; serving keeps its copy"


def kept(deployment: Deployment) -> tuple[Slot, ...]:
    """The slots of which the history says so."""
    said = {event.detail for event in deployment.events if event.kind is EventKind.KEPT}
    return tuple(slot for slot in deployment.request.slots if kept_text(slot) in said)


def unreconciled(history: Sequence[Deployment], aliases: Mapping[str, int]) -> str:
    """What is asked for and not done, in words that change whenever that does; empty when all is as desired.

    What only the serving backend can tell, drift, does not show here.
    """
    newest = history[-1] if history else None
    if newest and (newest.pending or newest.to_restore):
        return f"revision {newest.revision}"
    stands = standing(history)
    known = {slot.version for slot in kept(stands)} if stands else set[int]()
    if desire(history, aliases, known).wish in {Wish.NOTHING, Wish.STANDING}:
        return ""
    named = ", ".join(f"slot-{number} = {version}" for number, version in slots_named(aliases).items()) or "no slot"
    return f"{named} after revision {newest.revision if newest else 0}"


def under_way(history: Sequence[Deployment], now: datetime) -> bool:
    """Whether the newest revision is so fresh that whoever asked for it is likely to be at it still.

    A watcher leaves it alone: a pass of its own would only wait for the ensemble's lock.
    """
    if not history or not (history[-1].pending or history[-1].to_restore):
        return False
    return now - history[-1].events[-1].at < UNDER_WAY_WITHIN
