"""The columnar file format of a dataset's shards."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from headrace.ports.source import Batch


class ShardFile(Protocol):
    """A shard being written."""

    def append(self, batch: Batch) -> None:
        """Add rows. Memory stays bounded however many are added."""
        ...


class ShardFormat(Protocol):
    """Writes shards. Equal rows in equal order give equal bytes, however they were cut into batches."""

    suffix: str
    """Of file names, with its dot."""

    def schema(self, example_shape: tuple[int, ...]) -> dict[str, str]:
        """Column name to type, as text."""
        ...

    def create(self, path: Path, example_shape: tuple[int, ...]) -> AbstractContextManager[ShardFile]:
        """Write a new file; it is complete when the context has ended without an error."""
        ...
