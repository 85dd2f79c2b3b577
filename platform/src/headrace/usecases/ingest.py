"""Ingesting: raw files → checked, decoded, split, written as shards → an immutable dataset version."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from headrace.ports.catalogue import Catalogue
from headrace.ports.clock import Clock
from headrace.ports.locks import Locks
from headrace.ports.shards import ShardFormat
from headrace.ports.source import RawData, Source
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import (
    DatasetManifest,
    DatasetSpec,
    DatasetVersion,
    Freshness,
    Shard,
    Split,
    content_digest,
    dataset_prefix,
)
from headrace.specs.step import IngestResult
from headrace.usecases.freshness import check_freshness
from headrace.usecases.materialisation import INGEST_VERSION, materialisation_key, materialisation_of
from headrace.usecases.recovery import recover
from headrace.usecases.shard_writer import ShardTarget, SplitWriter
from headrace.usecases.split import HoldOut, class_counts

Progress = Callable[[int, int], None]
"""Called with the rows written so far and the rows there are."""


def unobserved(done: int, total: int) -> None:
    """The progress callback of a caller who does not look."""
    del done, total


@dataclass(frozen=True)
class Ingestor:
    """Makes dataset versions; its fields are what it works with."""

    source: Source
    shards: ShardFormat
    store: ObjectStore
    catalogue: Catalogue
    locks: Locks
    clock: Clock

    def ingest(self, spec: DatasetSpec, base: Path, *, force: bool = False, progress: Progress = unobserved) -> IngestResult:
        """Return a fresh version, made now unless there is one.

        One ingestion of a dataset runs at a time, on all machines that share the catalogue; whoever waited for another uses
        its version. A forced one uses a version made while it waited, too: it is newer than the request.
        A version becomes visible last, with its manifest and its catalogue entry; what a crash leaves before that is removed,
        or completed, by the next ingestion. Equal input and parameters give an equal `digest`.

        Args:
            spec: the dataset.
            base: the folder a relative source path is relative to.
            force: ingest although the cached version is fresh.
            progress: told of the rows written.

        Raises:
            SourceError: the raw files are missing, broken or not what the spec declares; nothing was committed.
            InvalidSpecError: the spec does not fit the data.
        """
        requested = self.clock()
        with self.locks.hold(f"ingest/{spec.name}") as waited:
            recover(spec.name, store=self.store, catalogue=self.catalogue)
            found = self._look(spec, base, force=force, since=requested if waited else None)
            if found.version is not None:
                return IngestResult(version=found.version, cached=True, reason=found.reason)
            return IngestResult(version=self._make(spec, base, progress), cached=False, reason=found.reason)

    def _look(self, spec: DatasetSpec, base: Path, *, force: bool, since: datetime | None) -> Freshness:
        latest = self.catalogue.latest(spec.name)
        made_meanwhile = latest is not None and since is not None and latest.version.created >= since
        return check_freshness(
            spec,
            base,
            source=self.source,
            store=self.store,
            catalogue=self.catalogue,
            clock=self.clock,
            force=force and not made_meanwhile,
        )

    def _make(self, spec: DatasetSpec, base: Path, progress: Progress) -> DatasetVersion:
        name = f"{self.clock().astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        prefix = f"{dataset_prefix(spec.name)}{name}/"
        with self.source.open(spec.source, base) as raw, TemporaryDirectory(prefix="headrace-ingest-") as scratch:
            target = ShardTarget(
                store=self.store,
                prefix=prefix,
                format=self.shards,
                rows_per_shard=spec.rows_per_shard,
                example_shape=raw.train.example_shape,
                scratch=Path(scratch),
            )
            shards = _write_splits(spec, raw, target, progress)
            manifest = self._manifest(spec, name, raw, shards)
        materialisation = materialisation_of(manifest)
        self.store.put_bytes(materialisation.version.manifest_key, manifest.model_dump_json(indent=2, by_alias=True).encode())
        self.catalogue.commit(materialisation)
        return materialisation.version

    def _manifest(self, spec: DatasetSpec, version: str, raw: RawData, shards: tuple[Shard, ...]) -> DatasetManifest:
        return DatasetManifest(
            dataset=spec.name,
            version=version,
            key=materialisation_key(spec),
            parameters=spec.parameters,
            ingest_version=INGEST_VERSION,
            created=self.clock(),
            digest=content_digest(shards),
            schema=self.shards.schema(raw.train.example_shape),
            example_shape=raw.train.example_shape,
            classes=spec.classes,
            sources=raw.stamps,
            shards=shards,
        )


def _write_splits(spec: DatasetSpec, raw: RawData, target: ShardTarget, progress: Progress) -> tuple[Shard, ...]:
    """Stream both parts into the store; their digests have been checked when this returns."""
    counts = class_counts(raw.train.labels(), len(spec.classes))
    total = sum(counts) + sum(class_counts(raw.test.labels(), len(spec.classes)))
    hold_out = HoldOut(counts, spec.validation_rows, spec.seed)
    train, validation, test = (SplitWriter(split, target) for split in (Split.TRAIN, Split.VALIDATION, Split.TEST))
    done = 0
    for batch in raw.train.examples():
        held_out = hold_out.choose(batch.labels)
        train.append(batch.rows(~held_out))
        validation.append(batch.rows(held_out))
        done += len(batch.labels)
        progress(done, total)
    for batch in raw.test.examples():
        test.append(batch)
        done += len(batch.labels)
        progress(done, total)
    return train.close() + validation.close() + test.close()
