"""Stopping the parts in reverse order, within a bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from headrace.errors import StackError
from headrace.stack.order import stop_waves
from headrace.stack.part import Assembly, Part
from headrace.stack.supervisor import Supervisor

_POLL_SECONDS = 0.1
_LIVING = {"STARTING", "RUNNING", "STOPPING", "BACKOFF"}
_KILL_SECONDS = 3  # what the kernel may take after supervisord's SIGKILL


def stop_parts(assembly: Assembly, supervisor: Supervisor, report: Callable[[str], None]) -> None:
    """Stop wave after wave; the parts of one wave at the same time.

    Raises:
        StackError: a part outlived even SIGKILL.
    """
    for wave in stop_waves(assembly):
        _stop(wave, supervisor)
        for part in wave:
            report(part.name)


def _stop(wave: Sequence[Part], supervisor: Supervisor) -> None:
    known = supervisor.processes()
    wave = [part for part in wave if part.name in known]
    for part in wave:
        supervisor.stop_part(part.name)
    deadline = time.monotonic() + max((part.stop_seconds for part in wave), default=0) + _KILL_SECONDS
    while alive := _alive(wave, supervisor):
        if time.monotonic() > deadline:
            raise StackError(f"{', '.join(alive)} cannot be stopped", where="supervisord")
        time.sleep(_POLL_SECONDS)


def _alive(wave: Sequence[Part], supervisor: Supervisor) -> list[str]:
    processes = supervisor.processes()
    return [part.name for part in wave if part.name in processes and processes[part.name].state in _LIVING]
