"""Ingesting: raw files → checked, decoded, split, written as shards → an immutable dataset version in the store."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory

from headrace.ports.clock import Clock
from headrace.ports.shards import ShardFormat
from headrace.ports.source import RawData, Source
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import (
    DatasetManifest,
    DatasetSpec,
    DatasetVersion,
    Shard,
    Split,
    content_digest,
    dataset_prefix,
)
from headrace.usecases.materialisation import INGEST_VERSION, materialisation_key, materialisation_of
from headrace.usecases.shard_writer import ShardTarget, SplitWriter
from headrace.usecases.split import HoldOut, class_counts

Progress = Callable[[int, int], None]
"""Called with the rows written so far and the rows there are."""


def unobserved(done: int, total: int) -> None:
    """The progress callback of a caller who does not look."""
    del done, total


@dataclass(frozen=True, kw_only=True)
class Ingestor:
    """Makes dataset versions; its fields are what it works with: of the platform, the store alone."""

    source: Source
    shards: ShardFormat
    store: ObjectStore
    clock: Clock

    def ingest(self, spec: DatasetSpec, base: Path, *, progress: Progress = unobserved) -> DatasetVersion:
        """Make a new version; its manifest is stored last, and makes it whole. Equal input and parameters give an equal `digest`.

        What a crash leaves before the manifest is garbage; nobody knows the version before it is committed to the catalogue.
        Both are the caller's (`usecases.materialise`).

        Args:
            spec: the dataset.
            base: the folder a relative source path is relative to.
            progress: told of the rows written.

        Raises:
            SourceError: the raw files are missing, broken or not what the spec declares; no manifest was written.
            InvalidSpecError: the spec does not fit the data.
        """
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
        version = materialisation_of(manifest).version
        self.store.put_bytes(version.manifest_key, manifest.model_dump_json(indent=2, by_alias=True).encode())
        return version

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
