"""From what serves to what should: which steps, and what differs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any

from headrace.ports.serving import Document
from headrace.render.seldon import document_digest

_DIFFERENCES_TOLD = 5


class RolloutStep(Enum):
    """A step of a rollout; each may be done again."""

    PREVIEW = auto()
    """Start the graph under a name of its own, ask its golden requests, and take it away again."""
    APPLY = auto()
    """Make it what serves."""
    VERIFY = auto()
    """Ask the live endpoint the golden requests."""


def plan(*, live: bool, current: Document | None, wanted: Document, proven: bool = False) -> tuple[RolloutStep, ...]:
    """The steps that make a document what serves.

    Args:
        live: whether its revision was live already, so that what differs now is drift.
        current: what serves, or is about to; None for nothing.
        wanted: what should.
        proven: whether its nodes have served already, as a canary's.
    """
    same = current is not None and document_digest(current) == document_digest(wanted)
    if live and same:
        return ()
    if live or same or proven:  # proven before, or applied by a pass that died before it could say so
        return (RolloutStep.APPLY, RolloutStep.VERIFY)
    return (RolloutStep.PREVIEW, RolloutStep.APPLY, RolloutStep.VERIFY)


def differences(current: Document | None, wanted: Document) -> str:
    """In words, what of the current document is not as wanted: the first few places, and how many more there are."""
    if current is None:
        return "the graph was gone"
    found = list(_differences("spec", current["spec"], wanted["spec"]))
    told = "; ".join(found[:_DIFFERENCES_TOLD])
    return told if len(found) <= _DIFFERENCES_TOLD else f"{told}; and {len(found) - _DIFFERENCES_TOLD} more"


def _differences(place: str, current: Any, wanted: Any) -> Iterator[str]:
    if isinstance(current, Mapping) and isinstance(wanted, Mapping):
        for key in sorted({*current, *wanted}):
            yield from _differences(f"{place}.{key}", current.get(key), wanted.get(key))
    elif isinstance(current, list) and isinstance(wanted, list) and len(current) == len(wanted):
        for index, (one, other) in enumerate(zip(current, wanted, strict=True)):
            yield from _differences(f"{place}[{index}]", one, other)
    elif current != wanted:
        yield f"{place} was {_brief(current)}, not {_brief(wanted)}"


def _brief(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} long"
    return "there" if isinstance(value, Mapping) else repr(value)
