"""Reading a dataset version: its manifest, and its splits as arrays mapped into memory.

Nothing is decoded or copied: all processes of a machine that read a version share one copy of it, the page cache's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.adapters.arrow_shards import map_shard
from headrace.errors import CorruptError, NotFoundError
from headrace.ports.source import Batch, Images, Labels
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import DatasetManifest, DatasetVersion, Split


def read_manifest(store: ObjectStore, version: DatasetVersion) -> DatasetManifest:
    """The manifest of a committed version.

    Raises:
        NotFoundError: the store has lost it.
        CorruptError: it cannot be read.
    """
    return DatasetManifest.parse(store.get_bytes(version.manifest_key), where=version.manifest_key)


def open_split(store: ObjectStore, version: DatasetVersion, split: Split) -> list[tuple[Images, Labels]]:
    """A split as consecutive pieces, in order: images `uint8[n, *example_shape]` and labels `uint8[n]`.

    The pieces are read-only views of mapped files, some thousand rows each. Digests are not checked here: the freshness
    check has verified the version before it was handed out.

    Raises:
        NotFoundError: the split is empty, or the store has lost the manifest or a shard.
        CorruptError: the manifest cannot be read.
    """
    shards = [shard for shard in read_manifest(store, version).shards if shard.split is split]
    if not shards:
        raise NotFoundError(f"the dataset version has no {split} split", where=version.location)
    return [piece for shard in shards for piece in map_shard(store.fetch(version.location + shard.key))]


@dataclass(frozen=True)
class StoredSplits:
    """Implements `ports.shards.SplitReader`."""

    store: ObjectStore

    def read(self, version: DatasetVersion, split: Split) -> Sequence[Batch]:
        """See the port."""
        stored = read_manifest(self.store, version).digest
        if stored != version.digest:
            raise CorruptError(
                f"the stored version has digest {stored[:12]}…, {version.digest[:12]}… was asked for",
                where=version.location,
                remedy="Ingest the dataset again.",
            )
        return [Batch(images, labels) for images, labels in open_split(self.store, version, split)]
