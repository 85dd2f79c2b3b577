"""supervisord (http://supervisord.org), the process supervisor under the stack, spoken to over its XML-RPC on a UNIX socket.

It was chosen over writing one: it restarts with back-off, gives up loudly, rotates logs and kills process groups. Two things it
does not do are ours: starting in order of readiness (`starter`), and cleaning up after a part that died by itself (`reaper`).
"""

from __future__ import annotations

import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import psutil

from headrace.errors import StackError
from headrace.stack.secrets import write_private
from headrace.stack.supervisord_config import Layout

_APPEARS_WITHIN_SECONDS = 15.0
_ENDS_WITHIN_SECONDS = 10.0
_POLL_SECONDS = 0.05
# The faults of http://supervisord.org/api.html that say "it is already so".
_ALREADY_STARTED = 60
_NOT_RUNNING = 70


@dataclass(frozen=True)
class Process:
    """What supervisord knows of a part's process.

    Args:
        state: its word: STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL or UNKNOWN.
        pid: of the living process, 0 when there is none.
        since: when the present or last process started; None when there never was one.
        detail: supervisord's description of a failure, when there is one.
    """

    state: str
    pid: int
    since: datetime | None
    detail: str


class Supervisor:
    """One installation's supervisord. Each call opens a connection of its own, so threads may share the object."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def start(self, config: str, environment: Mapping[str, str]) -> None:
        """Start supervisord in the background and wait until it answers.

        Raises:
            StackError: it ended at once, or does not answer.
        """
        write_private(self._layout.config, config)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._layout.config)]
        done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(f"supervisord did not start: {done.stderr.strip()}", where=str(self._layout.config))
        deadline = time.monotonic() + _APPEARS_WITHIN_SECONDS
        while not self.answers():
            if time.monotonic() > deadline:
                raise StackError("supervisord does not answer", where=str(self._layout.supervisor_log))
            time.sleep(_POLL_SECONDS)

    def answers(self) -> bool:
        """Whether supervisord runs and is not about to end."""
        return self.pid() is not None

    def pid(self) -> int | None:
        """supervisord's own pid; None when it does not run."""
        if not self._layout.socket.exists():
            return None
        try:
            return int(cast(int, self._call("getPID")))
        except OSError:
            return None

    def config(self) -> str:
        """The configuration it was started with."""
        return self._layout.config.read_text()

    def processes(self) -> dict[str, Process]:
        """Every part's process by name; empty when supervisord does not run."""
        if not self.answers():
            return {}
        return {info["name"]: _process(info) for info in cast(list[dict[str, Any]], self._call("getAllProcessInfo"))}

    def start_part(self, name: str) -> None:
        """Start a part, without waiting for it; nothing happens when it runs already.

        Raises:
            StackError: supervisord cannot start its command.
        """
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _ALREADY_STARTED:
                raise StackError(f"{name} cannot be started: {fault.faultString}", where=str(self._layout.log(name))) from fault

    def stop_part(self, name: str) -> None:
        """Ask a part to end, without waiting for it; nothing happens when it does not run."""
        try:
            self._call("stopProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _NOT_RUNNING:
                raise StackError(f"{name} cannot be stopped: {fault.faultString}", where=str(self._layout.log(name))) from fault

    def shut_down(self) -> None:
        """End supervisord itself, and wait for it.

        Raises:
            StackError: it does not end.
        """
        pid = self.pid()
        if pid is None:
            return
        process = psutil.Process(pid)
        self._call("shutdown")
        try:
            process.wait(_ENDS_WITHIN_SECONDS)
        except psutil.TimeoutExpired as error:
            raise StackError(f"supervisord (pid {pid}) does not end", where=str(self._layout.supervisor_log)) from error

    def _call(self, method: str, *arguments: Any) -> object:
        # Supervisor's transport reaches XML-RPC over a UNIX socket; the address is only there to satisfy the client.
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(serverurl=f"unix://{self._layout.socket}")
        try:
            proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
            return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()


def _process(info: Mapping[str, Any]) -> Process:
    started = datetime.fromtimestamp(info["start"], UTC) if info["start"] else None
    return Process(state=info["statename"], pid=info["pid"], since=started, detail=info["spawnerr"])
