"""Writing a split: rows in, shards in the store out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from headrace.ports.shards import ShardFile, ShardFormat
from headrace.ports.source import Batch
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import Shard, Split


@dataclass(frozen=True)
class ShardTarget:
    """Where and how the shards of a version are written.

    Attributes:
        store: where they go.
        prefix: the version's key prefix, ending in `/`.
        format: of the files.
        rows_per_shard: rows of every shard of a split but its last.
        example_shape: of one image.
        scratch: an existing folder for the one file being written; the caller removes it.
    """

    store: ObjectStore
    prefix: str
    format: ShardFormat
    rows_per_shard: int
    example_shape: tuple[int, ...]
    scratch: Path


class SplitWriter:
    """Cuts the rows of one split into shards and puts each into the store as soon as it is full."""

    def __init__(self, split: Split, target: ShardTarget) -> None:
        self._split = split
        self._target = target
        self._path = target.scratch / f"{split}{target.format.suffix}"
        self._shards: list[Shard] = []
        self._file: ShardFile | None = None
        self._rows = 0

    def append(self, batch: Batch) -> None:
        """Add rows."""
        start = 0
        while start < len(batch.labels):
            if self._file is None:
                self._file = self._target.format.create(self._path, self._target.example_shape)
            taken = batch.rows(slice(start, start + self._target.rows_per_shard - self._rows))
            self._file.append(taken)
            start += len(taken.labels)
            self._rows += len(taken.labels)
            if self._rows == self._target.rows_per_shard:
                self._finish(self._file)

    def close(self) -> tuple[Shard, ...]:
        """Put the last shard, and return all of them in order."""
        if self._file is not None:
            self._finish(self._file)
        return tuple(self._shards)

    def _finish(self, file: ShardFile) -> None:
        file.close()
        key = f"{self._split}/part-{len(self._shards):05d}{self._target.format.suffix}"
        with self._path.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        stored = self._target.store.put_file(self._target.prefix + key, self._path)
        self._shards.append(Shard(split=self._split, key=key, rows=self._rows, size=stored.size, sha256=digest, etag=stored.etag))
        self._file, self._rows = None, 0
