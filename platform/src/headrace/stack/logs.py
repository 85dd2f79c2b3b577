"""A part's log: its last lines, and what is added to it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

_POLL_SECONDS = 0.3


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log; none when it does not exist yet."""
    return _end(path, count)[0]


def follow(path: Path, count: int) -> Iterator[str]:
    """The last lines, then every new one, for ever; goes on with the new file when the log is rotated."""
    lines, position = _end(path, count)
    while True:
        yield from lines
        time.sleep(_POLL_SECONDS)
        lines, position = _added(path, position)


def _end(path: Path, count: int) -> tuple[list[str], int]:
    """The last lines, and the position after them."""
    if not path.exists():
        return [], 0
    with path.open("rb") as file:
        return [_text(line) for line in deque(file, maxlen=count)], file.tell()


def _added(path: Path, position: int) -> tuple[list[str], int]:
    """The lines after a position, and the position after them; a shorter file is a new one, read from its start."""
    size = path.stat().st_size if path.exists() else position  # between a rotation and the next line there is no file
    if size == position:
        return [], position
    with path.open("rb") as file:
        file.seek(position if size > position else 0)
        return [_text(line) for line in file], file.tell()


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\n")
