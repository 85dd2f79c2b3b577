"""The columnar file format of a dataset's shards."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from headrace.ports.source import Batch


class ShardFile(Protocol):
    """A shard being written. One that is never closed is worthless, and may be deleted."""

    def append(self, batch: Batch) -> None:
        """Add rows. Memory stays bounded however many are added."""
        ...

    def close(self) -> None:
        """Complete the file."""
        ...


class ShardFormat(Protocol):
    """Writes shards. Equal rows in equal order give equal bytes, however they were cut into batches."""

    suffix: str
    """Of file names, with its dot."""

    def schema(self, example_shape: tuple[int, ...]) -> dict[str, str]:
        """Column name to type, as text."""
        ...

    def create(self, path: Path, example_shape: tuple[int, ...]) -> ShardFile:
        """Begin a new file, replacing one that is there."""
        ...
