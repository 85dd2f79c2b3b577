"""Waiting for conditions."""

from __future__ import annotations

import time
from collections.abc import Callable

_POLL_SECONDS = 0.2


def wait_until[T](condition: Callable[[], T], *, within: float, what: str) -> T:
    """The condition's first true value; TimeoutError, saying what was awaited, when there is none in time."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:g} s: {what}")
        time.sleep(_POLL_SECONDS)
    return value
