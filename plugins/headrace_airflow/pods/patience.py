"""Waiting for a pod to run: what is in its way is said once, borne for a while, and then raised."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from headrace.errors import StepFailedError
from headrace.ports.log import LogLine


@dataclass(frozen=True)
class Obstacle:
    """What keeps a pod from running.

    Attributes:
        kind: obstacles of one kind in a row count as one that lasts, though its words may change.
        words: of whoever says no.
        within: seconds that it may last.
        remedy: what to do about it.
    """

    kind: str
    words: str
    within: float
    remedy: str


class Patience:
    """Bears obstacles.

    Args:
        where: the pod, for people.
        log: told of each obstacle when it appears, and when its words change.
        now: seconds that only grow.
    """

    def __init__(self, where: str, log: LogLine, *, now: Callable[[], float] = time.monotonic) -> None:
        self._where = where
        self._log = log
        self._now = now
        self._last: Obstacle | None = None
        self._since = 0.0

    def bear(self, obstacle: Obstacle | None) -> None:
        """Take note of what is in the way now, if anything is.

        Raises:
            StepFailedError: it has been longer than it may.
        """
        if obstacle is not None and (self._last is None or obstacle.kind != self._last.kind):
            self._since = self._now()
        if obstacle is not None and obstacle != self._last:
            self._log(f"{self._where} waits: {obstacle.words}")
        self._last = obstacle
        if obstacle is not None and self._now() - self._since > obstacle.within:
            raise StepFailedError(
                f"the pod did not start within {obstacle.within:g} s: {obstacle.words}", where=self._where, remedy=obstacle.remedy
            )
