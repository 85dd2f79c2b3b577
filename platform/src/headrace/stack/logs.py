"""A part's log: its last lines, and what is added to it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

_POLL_SECONDS = 0.3


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log; none when it does not exist yet."""
    if not path.exists():
        return []
    with path.open(errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=count)]


def follow(path: Path, count: int) -> Iterator[str]:
    """The last lines, then every new one, for ever; goes on with the new file when the log is rotated."""
    yield from last_lines(path, count)
    position = path.stat().st_size if path.exists() else 0
    while True:
        time.sleep(_POLL_SECONDS)
        size = path.stat().st_size if path.exists() else 0
        if size < position:
            position = 0
        if size > position:
            with path.open(errors="replace") as file:
                file.seek(position)
                yield from file.read().splitlines()
                position = file.tell()
