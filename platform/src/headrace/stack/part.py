"""What the stack is made of: parts (supervised processes) and set-ups (one-time work between them)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class PartState(StrEnum):
    """How a part is, as a person sees it."""

    RUNNING = "running"
    """Its process lives and it passed its readiness check just now."""
    STARTING = "starting"
    """Its process lives, or is about to be restarted, and it is not ready yet."""
    FAILED = "failed"
    """It was given up after several restarts, or lives without becoming ready within its patience."""
    STOPPED = "stopped"


class Readiness(Protocol):
    """A check whether a part does its work."""

    def __call__(self, since: datetime) -> str | None:
        """Check once, within about two seconds.

        Args:
            since: when the part's present process started; evidence older than that does not count.

        Returns:
            None when it is ready, otherwise the reason why not. Never raises for a part that is merely not ready.
        """


@dataclass(frozen=True)
class Port:
    """A TCP port a part listens on, and the setting that moves it."""

    number: int
    setting: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """One long-running process of the stack.

    Args:
        name: what `status` and `logs` call it.
        command: the program and its arguments.
        environment: what it gets beside the stack's inherited environment.
        needs: names of parts and set-ups that must be ready or done before it starts.
        ready: its readiness check.
        version: looks its version up; called by `status`.
        url: its address for people; empty when it has none.
        port: what it listens on, if anything.
        user: the unprivileged user it is dropped to when the stack runs as root; None keeps the caller.
        stop_signal: asks it to end; after `stop_seconds` its whole process group is killed.
        settle_seconds: a process that dies younger than this counts as a failed start, and five of them in a row as given up.
        patience_seconds: how long it may take to become ready.
    """

    name: str
    command: tuple[str, ...]
    ready: Readiness
    version: Callable[[], str]
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    url: str = ""
    port: Port | None = None
    user: str | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 5
    settle_seconds: int = 30
    patience_seconds: int = 120


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Work done at every start before what needs it, or after what it needs; doing it again changes nothing.

    Args:
        name: what `needs` refers to.
        title: what is shown while it runs.
        run: does it; raises a HeadraceError when it cannot.
        needs: names of parts and set-ups it comes after.
    """

    name: str
    title: str
    run: Callable[[], None]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assembly:
    """A whole stack: parts in the order they are shown, and the set-ups between them."""

    parts: tuple[Part, ...]
    setups: tuple[Setup, ...]

    @property
    def nodes(self) -> tuple[Part | Setup, ...]:
        """Parts and set-ups together: what the order of starting is about."""
        return (*self.parts, *self.setups)

    def part(self, name: str) -> Part | None:
        """The part of that name."""
        return next((part for part in self.parts if part.name == name), None)
