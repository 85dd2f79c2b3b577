"""Which of the versions that serve a candidate would replace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headrace.ports.registry import ModelVersion


@dataclass(frozen=True)
class Incumbent:
    """A version that serves, as far as its tags tell.

    Attributes:
        version: of the candidate's model.
        member: that it was trained as; None when nobody knows, as of a version that was deleted from the registry.
        run: of the pipeline, that trained it.
        accuracy: on the validation split of its training.
    """

    version: int
    member: str | None = None
    run: str | None = None
    accuracy: float | None = None

    @classmethod
    def of(cls, found: ModelVersion) -> Incumbent:
        """Read off the tags that training put there (`usecases.train`)."""
        accuracy = found.tags.get("validation_accuracy")
        return cls(
            version=found.version,
            member=found.tags.get("headrace.member"),
            run=found.tags.get("headrace.run"),
            accuracy=float(accuracy) if accuracy else None,
        )


def champion_of(member: str, run: str, serving: Iterable[Incumbent]) -> int | None:
    """The version that a candidate is held against: its member's former one, else the least accurate, else none.

    What the same run has put there while others of its members still train is no champion: the candidate is to serve beside
    it, not in its place. A version of unknown accuracy comes last.
    """
    former = [each for each in serving if each.run != run]
    same = [each for each in former if each.member == member]
    if not former:
        return None
    return min(same or former, key=lambda each: (each.accuracy is None, each.accuracy or 0.0, each.version)).version
