"""One `up` or `down` at a time for an installation."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.errors import StackError

_POLL_SECONDS = 0.1


@contextmanager
def exclusive(path: Path, *, patience_seconds: float) -> Iterator[None]:
    """Hold the lock; the kernel lets go of it when the holder dies, however it dies.

    Raises:
        StackError: someone else held it all the time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience_seconds
    with path.open("w") as file:
        while not _taken(file.fileno()):
            if time.monotonic() > deadline:
                raise StackError("another `headrace up` or `down` is at work", where=str(path), remedy="Wait for it, or end it.")
            time.sleep(_POLL_SECONDS)
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
