"""Daemons that outlive the program that started them, and are found again by a mark in their environment.

No file of pids: a starter that is killed half-way has lost nothing, and a recycled pid does not bear the mark.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cluster.node.conditions import wait_until
from cluster.node.home import Home

_MARK = "HEADRACE_CLUSTER_DAEMON"
_VERSION = "HEADRACE_CLUSTER_DAEMON_VERSION"
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_CHANGES_WITHIN = 20
_TAIL = 2000


@dataclass(frozen=True)
class Daemon:
    """A program to run, and the files it reads once at its start: when these change it must be started anew."""

    name: str
    argv: tuple[str, ...]
    reads: tuple[Path, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def version(self) -> str:
        """Changes with the command line and with the content of the files read."""
        digest = hashlib.sha256("\0".join(self.argv).encode())
        for path in self.reads:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Process:
    """A running process that bears this home's mark. Held by its pidfd, so that a signal never reaches a successor."""

    name: str
    version: str
    pid: int
    leader: bool


def ensure_running(home: Home, daemon: Daemon) -> bool:
    """Start the daemon unless it runs as described; one that runs otherwise is ended first. Whether it was started."""
    present = running(home).get(daemon.name)
    if present and present.version == daemon.version():
        return False
    if present:
        end(home, daemon.name)
    _start(home, daemon)
    return True


def running(home: Home) -> dict[str, Process]:
    """The daemons of this home that are alive, by name."""
    return {each.name: each for each in marked(home) if each.leader}


def marked(home: Home) -> Iterator[Process]:
    """Every process that bears this home's mark: daemons, and children that inherited it."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if found := _read(home, int(entry.name)):
                    yield found


def end(home: Home, name: str) -> None:
    """End the daemon, first gently and then not. What it started stays: containers outlive their containerd."""
    for which in (signal.SIGTERM, signal.SIGKILL):
        if not (process := running(home).get(name)):
            return
        _signal(home, process, which)
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: name not in running(home), within=_CHANGES_WITHIN, what=f"the end of {name}")


def end_left_over(home: Home) -> None:
    """Kill whatever still bears the mark, such as shims whose containerd is gone."""
    for process in marked(home):
        _signal(home, process, signal.SIGKILL)
    wait_until(lambda: not any(marked(home)), within=_CHANGES_WITHIN, what="the end of processes that were killed")


def last_words(home: Home, name: str) -> str:
    """The end of a daemon's log."""
    log = home.logs / f"{name}.log"
    return log.read_text(errors="replace")[-_TAIL:] if log.exists() else "(no log)"


def mark(home: Home, name: str) -> str:
    """The value that marks a daemon of this home."""
    return f"{home.root}:{name}"


def _start(home: Home, daemon: Daemon) -> None:
    home.logs.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name.lower() not in _PROXIES}
    environment |= daemon.environment | {_MARK: mark(home, daemon.name), _VERSION: daemon.version()}
    with (home.logs / f"{daemon.name}.log").open("ab") as log:
        process = subprocess.Popen(
            daemon.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True, cwd="/"
        )
    # A process has no environment yet in the moment in which it becomes another program.
    wait_until(
        lambda: daemon.name in running(home) or process.poll() is not None, within=_CHANGES_WITHIN, what=f"{daemon.name} runs"
    )


def _read(home: Home, pid: int) -> Process | None:
    variables = dict(
        pair.split("=", 1) for pair in Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0") if "=" in pair
    )
    root, _, name = variables.get(_MARK, "").rpartition(":")
    if root != str(home.root) or _is_zombie(pid):
        return None
    return Process(name, variables.get(_VERSION, ""), pid, leader=os.getsid(pid) == pid)


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _signal(home: Home, process: Process, which: signal.Signals) -> None:
    """Signal the process that bore the mark, never one that has its number by now."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        handle = os.pidfd_open(process.pid)
        try:
            if _read(home, process.pid) == process:
                signal.pidfd_send_signal(handle, which)
        finally:
            os.close(handle)
