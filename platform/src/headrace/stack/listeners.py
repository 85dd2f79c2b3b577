"""Who listens on a TCP port of this machine."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from headrace.errors import StackError
from headrace.stack.part import Part


def refuse_taken_ports(parts: Iterable[Part]) -> None:
    """Check that every part's port is free.

    Raises:
        StackError: one is taken; names the process that has it and the setting that moves the part.
    """
    holders = {port: pid for _, port, pid in listeners()}
    for part in parts:
        if part.port and part.port.number in holders:
            raise StackError(
                f"port {part.port.number}, which {part.name} needs, is taken by {describe(holders[part.port.number])}",
                where=f"127.0.0.1:{part.port.number}",
                remedy=f"End that process, or choose another port: {part.port.setting}=<port>.",
            )


def listeners() -> list[tuple[str, int, int | None]]:
    """Every listening TCP socket: its address, its port, and its process unless that is another user's."""
    listening = (each for each in psutil.net_connections(kind="tcp") if each.status == psutil.CONN_LISTEN)
    return [(each.laddr.ip, each.laddr.port, each.pid) for each in listening if each.laddr]


def describe(pid: int | None) -> str:
    """A process as `name (pid 123)`."""
    if pid is None:
        return "a process of another user"
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"a process (pid {pid})"
