"""Processes that die between two calls to the world, or meet a service that is away: what stands between use cases and fakes."""

from __future__ import annotations

from typing import Any


class CrashError(BaseException):
    """The process is gone."""


class Life:
    """How many more calls a process makes, and how it ends.

    `between` is given to `deployment_world.World`.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Another process, which nothing happens to."""
        self.calls_left: int | None = None
        self._after, self._error = False, CrashError
        self.over = False

    def end_with(self, calls_left: int, *, after: bool = False, error: type[BaseException] = CrashError) -> None:
        """End with a call after so many: before its effect or after it. Only a crash is the end; all else is raised once."""
        self.calls_left, self._after, self._error = calls_left, after, error

    def between(self, port: Any) -> Any:
        """The port, as far as the process lives."""
        return _Mortal(port, self)

    def call(self, method: Any, *arguments: Any, **options: Any) -> Any:
        """Call a port's method."""
        if self.over:
            raise CrashError
        if self.calls_left is None:
            return method(*arguments, **options)
        if self.calls_left > 0:
            self.calls_left -= 1
            return method(*arguments, **options)
        self.calls_left = None
        self.over = self._error is CrashError
        if self._after:
            method(*arguments, **options)
        raise self._error("in the middle of it")


class _Mortal:
    def __init__(self, port: Any, life: Life) -> None:
        self._port, self._life = port, life

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return lambda *arguments, **options: self._life.call(method, *arguments, **options)
