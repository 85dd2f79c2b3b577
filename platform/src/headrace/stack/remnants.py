"""The stack's processes, told from all others by a mark in their environment, and those among them that nobody supervises.

Every supervised process carries STACK_MARK (which installation) and PART_MARK (which part), and so does whatever it starts. A
name or a pid file would be guesswork: names are shared, pids are reused. A *remnant* is a marked process that no longer descends
from the supervisor: its part died without taking it along, or the supervisor was killed.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

STACK_MARK = "HEADRACE_STACK_ID"
PART_MARK = "HEADRACE_STACK_PART"
# setproctitle, which Airflow and gunicorn use, writes a long title over the environment unless told not to.
KEEP_ENVIRONMENT_READABLE = {"SPT_NOENV": "1"}
_GRACE_SECONDS = 5.0
_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.05


def stack_id(home: Path) -> str:
    """The mark of the installation whose state lies in this folder."""
    return hashlib.sha256(str(home).encode()).hexdigest()[:16]


def marked(stack: str, part: str | None = None) -> list[psutil.Process]:
    """Every living process that carries the mark, and their descendants (PostgreSQL's overwrite their environment).

    Zombies, the caller and its ancestors are left out.
    """
    wanted = {STACK_MARK: stack} | ({PART_MARK: part} if part else {})
    found = {process.pid: process for process in psutil.process_iter() if _carries(process, wanted)}
    for process in list(found.values()):
        found |= {child.pid: child for child in _descendants(process)}
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for pid, process in found.items() if pid not in mine and _lives(process)]


def remnants(stack: str, *, supervisor: int | None, part: str | None = None) -> list[psutil.Process]:
    """The marked processes that do not descend from the supervisor; all of them when it is None (there is none)."""
    return [process for process in marked(stack, part) if supervisor not in _ancestry(process)]


def end(processes: Iterable[psutil.Process], *, grace_seconds: float = _GRACE_SECONDS) -> list[psutil.Process]:
    """Ask the processes to end, kill those that have not after the grace, and return what even that did not end."""
    alive = list(processes)
    if grace_seconds > 0:
        alive = _wait(_signalled(alive, signal.SIGTERM), grace_seconds)
    return _wait(_signalled(alive, signal.SIGKILL), _KILL_SECONDS)


def describe_all(processes: Iterable[psutil.Process]) -> str:
    """The processes' pids, for a message."""
    return ", ".join(f"pid {process.pid}" for process in processes)


def _carries(process: psutil.Process, wanted: dict[str, str]) -> bool:
    try:
        environment = process.environ()
    except (psutil.Error, OSError):  # another user's, or gone meanwhile: not ours either way
        return False
    return all(environment.get(key) == value for key, value in wanted.items())


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _ancestry(process: psutil.Process) -> set[int | None]:
    try:
        return {process.pid, *(parent.pid for parent in process.parents())}
    except psutil.NoSuchProcess:
        return set()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signalled(processes: list[psutil.Process], number: signal.Signals) -> list[psutil.Process]:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    return processes


def _wait(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for the end of processes that are not our children; where nobody reaps them, a zombie is an end as well."""
    deadline = time.monotonic() + seconds
    while (processes := list(filter(_lives, processes))) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return processes
