"""Approval: a candidate that has passed its gate waits in the registry until a person lets it serve, or does not.

The answer is the version's tag `headrace.approval`. Pointing a slot's alias to the version says more than `approved` does, and
counts as that.
"""

from __future__ import annotations

from headrace.errors import NotFoundError
from headrace.ports.registry import ModelRegistry, RegistryWatch
from headrace.specs.base import Spec
from headrace.usecases.deploy.desired import slots_named

APPROVAL_TAG = "headrace.approval"
APPROVED, REJECTED = "approved", "rejected"
WAITING = "waiting"
"""What the tag says while nobody has answered, so that a search for it finds whom a person has to look at."""
EXPIRED = "expired"
"""What it says once nobody has answered in time."""


class Answer(Spec):
    """What a person decided on a candidate."""

    approved: bool
    reason: str
    """How they said so."""


def ask(registry: ModelRegistry, model: str, version: int) -> None:
    """Say that the version waits for a person, unless one has answered already.

    Raises:
        NotFoundError: there is no such version.
    """
    if registry.version(model, version).tags.get(APPROVAL_TAG) not in {APPROVED, REJECTED}:
        registry.set_tag(model, version, APPROVAL_TAG, WAITING)


def find_answer(watched: RegistryWatch, model: str, version: int) -> Answer | None:
    """What a person has decided; None while nobody has. A version that was deleted is rejected. May raise UnavailableError."""
    try:
        said = watched.tags(model, version).get(APPROVAL_TAG, "").strip().lower()
    except NotFoundError:
        return Answer(approved=False, reason=f"version {version} was deleted from the registry")
    if said in {APPROVED, REJECTED}:
        return Answer(approved=said == APPROVED, reason=f"the tag {APPROVAL_TAG} of version {version} says `{said}`")
    if version in slots_named(watched.aliases(model)).values():
        return Answer(approved=True, reason=f"a slot's alias was pointed to version {version}")
    return None


def expire(registry: ModelRegistry, model: str, version: int) -> None:
    """Say that nobody has answered in time; an answer that came at the last moment stays, and so does a version's absence."""
    try:
        if registry.version(model, version).tags.get(APPROVAL_TAG) == WAITING:
            registry.set_tag(model, version, APPROVAL_TAG, EXPIRED)
    except NotFoundError:
        return
