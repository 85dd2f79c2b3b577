"""supervisord's configuration file, rendered from the parts: a pure function.

Parts do not start by themselves (`lifecycle` starts them in order, on real readiness), but supervisord restarts them. It counts a
death within `settle_seconds` as a failed start, retries with a growing delay, and gives up after RETRIES of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from headrace.errors import StackError
from headrace.stack.part import Part
from headrace.stack.remnants import KEEP_ENVIRONMENT_READABLE, PART_MARK, STACK_MARK

RETRIES = 5
_LONGEST_SOCKET_PATH = 90  # of the 107 bytes of sockaddr_un, less what supervisord appends while it creates the socket


class Layout:
    """Where the supervisor's files lie under `<home>`."""

    def __init__(self, home: Path) -> None:
        self.run = home / "run"
        self.logs = home / "logs"
        self.config = self.run / "supervisord.conf"
        self.socket = self.run / "supervisord.sock"
        self.pid = self.run / "supervisord.pid"
        self.supervisor_log = self.logs / "supervisord.log"
        self.lock = self.run / "lock"

    def log(self, part: str) -> Path:
        """The log of a part: what it wrote to its standard output and error."""
        return self.logs / f"{part}.log"


def render(parts: Sequence[Part], *, layout: Layout, stack: str, as_root: bool) -> str:
    """Render the whole file. It holds secrets (the parts' environments): write it with mode 0600.

    Raises:
        StackError: a path is too long for a UNIX socket, or a value holds what the file's syntax cannot.
    """
    if len(str(layout.socket)) > _LONGEST_SOCKET_PATH:
        raise StackError(
            f"the path is longer than a UNIX socket's may be ({_LONGEST_SOCKET_PATH} characters)",
            where=str(layout.socket),
            remedy="Set HEADRACE_HOME to a folder with a shorter path.",
        )
    sections = [*_control_sections(layout, stack, as_root), *(_program(part, layout, stack, as_root) for part in parts)]
    return "\n".join(_section(name, keys) for name, keys in sections)


def _control_sections(layout: Layout, stack: str, as_root: bool) -> list[tuple[str, dict[str, str]]]:
    supervisord = {
        "logfile": str(layout.supervisor_log),
        "logfile_maxbytes": "5MB",
        "logfile_backups": "1",
        "pidfile": str(layout.pid),
        "directory": str(layout.run),
        "childlogdir": str(layout.logs),
        "identifier": f"headrace-{stack}",
    }
    if as_root:  # said explicitly, or supervisord warns on every start
        supervisord["user"] = "root"
    return [
        ("supervisord", supervisord),
        ("unix_http_server", {"file": str(layout.socket), "chmod": "0700"}),
        ("rpcinterface:supervisor", {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"}),
        ("rpcinterface:headrace", {"supervisor.rpcinterface_factory": "headrace.stack.reaper:make_reaper", "stack": stack}),
    ]


def _program(part: Part, layout: Layout, stack: str, as_root: bool) -> tuple[str, dict[str, str]]:
    environment = {**part.environment, **KEEP_ENVIRONMENT_READABLE, STACK_MARK: stack, PART_MARK: part.name}
    keys = {
        "command": shlex.join(part.command),
        "environment": _environment(environment, part.name),
        "autostart": "false",
        "autorestart": "true",
        "startsecs": str(part.settle_seconds),
        "startretries": str(RETRIES),
        "stopsignal": part.stop_signal,
        "stopwaitsecs": str(part.stop_seconds),
        "stopasgroup": "false",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": str(layout.log(part.name)),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "2",
    }
    if part.user and as_root:
        keys["user"] = part.user
    return f"program:{part.name}", keys


def _environment(values: Mapping[str, str], part: str) -> str:
    for key, value in values.items():
        if set(value) & set("\"'\n"):
            raise StackError(f"{key} holds a quote or a line break, which the supervisor's file cannot", where=part)
    return ",".join(f'{key}="{value}"' for key, value in sorted(values.items()))


def _section(name: str, keys: Mapping[str, str]) -> str:
    for key, value in keys.items():
        if " ;" in value or " #" in value:
            raise StackError(f"{key} holds what reads as a comment", where=name, remedy="Rename the folder it names.")
    # The file's reader expands %(…)s; a plain percent sign is written twice.
    lines = [f"{key} = {value.replace('%', '%%')}" for key, value in keys.items()]
    return "\n".join([f"[{name}]", *lines, ""])
