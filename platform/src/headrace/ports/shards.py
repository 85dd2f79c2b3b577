"""A dataset's shards: the columnar file format they are written in, and reading them back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from headrace.ports.source import Batch
from headrace.specs.dataset import DatasetVersion, Split


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


class SplitReader(Protocol):
    """Reads committed dataset versions."""

    def read(self, version: DatasetVersion, split: Split) -> Sequence[Batch]:
        """One split as consecutive pieces of some thousand rows each, in order. No other split is touched.

        The pieces may be views of mapped files: they are read-only, and only what is looked at takes memory.

        Raises:
            NotFoundError: the split is empty, or the store has lost the manifest or a shard.
            CorruptError: what is stored is not that version.
        """
        ...
