"""How one part is: what the supervisor knows of its process, and its own readiness."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from headrace.stack.part import Part, PartState
from headrace.stack.supervisor import Process

_BETWEEN_LIVES = {"BACKOFF", "EXITED"}


@dataclass(frozen=True)
class Health:
    """A part's state, and why it is not `running` when it is not."""

    state: PartState
    reason: str = ""


def examine(part: Part, process: Process | None) -> Health:
    """Judge a part; runs its readiness check when its process lives."""
    if process is None or process.state in {"STOPPED", "STOPPING", "UNKNOWN"}:
        return Health(PartState.STOPPED)
    if process.state == "FATAL":
        return Health(PartState.FAILED, process.detail or "it ended again and again, and was given up")
    if process.state in _BETWEEN_LIVES or process.since is None:
        return Health(PartState.STARTING, process.detail or "it ended and is about to be started again")
    reason = part.ready(process.since)
    if reason is None:
        return Health(PartState.RUNNING)
    late = datetime.now(UTC) - process.since > timedelta(seconds=part.patience_seconds)
    return Health(PartState.FAILED if late else PartState.STARTING, reason)
