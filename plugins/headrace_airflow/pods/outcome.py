"""How a followed job ended, as an event: what a trigger tells the task it wakes."""

from __future__ import annotations

from typing import Any

from headrace import errors
from headrace.errors import HeadraceError, TrainingFailedError

_KINDS = {kind.__name__: kind for kind in (TrainingFailedError, errors.UnavailableError, errors.ForbiddenError)}


def ended_well() -> dict[str, Any]:
    """The event of a job whose workers have all ended well."""
    return {"error": None}


def failed(error: HeadraceError) -> dict[str, Any]:
    """The event of a job that failed, or cannot be followed."""
    return {"error": {"kind": type(error).__name__, "what": error.what, "where": error.where, "remedy": error.remedy}}


def read_outcome(event: dict[str, Any]) -> None:
    """Return if the event is of a job that ended well.

    Raises:
        HeadraceError: what `failed` was given; TrainingFailedError for a kind that no task tells apart.
    """
    error = event["error"]
    if error:
        raise _KINDS.get(error["kind"], TrainingFailedError)(error["what"], where=error["where"], remedy=error["remedy"])
