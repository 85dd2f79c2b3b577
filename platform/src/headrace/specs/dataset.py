"""Datasets: what a pipeline's author declares, and the manifest that makes a version of it visible.

Store layout of one version (all keys below `datasets/<name>/<version>/`):

    <split>/part-00000.arrow     Arrow IPC file: `image` fixed-shape tensor uint8[28, 28], `label` uint8
    manifest.json                written last; without it the version does not exist
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError, model_validator

from headrace.errors import CorruptError
from headrace.specs.base import Spec

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$")]
"""A DNS label: it becomes part of object keys, model names and Kubernetes names."""


Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?([numkMGTPE]|[KMGTPE]i)?$")]
"""An amount in Kubernetes' own units: `500m`, `1Gi`."""


class StepResources(Spec):
    """What a step's pod asks for."""

    cpu: Quantity = "500m"
    memory: Quantity = "1Gi"
    """Its limit, too: memory stays bounded whatever the size of the data."""


class Split(StrEnum):
    """The parts of a dataset. Decisions are made on validation; test is only ever reported."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class SourceFile(Spec):
    """One raw file by its name and the SHA-256 of its *decompressed* content.

    The Debian package compresses the published files anew, so the bytes on disk differ between sources; the content does not.
    """

    name: str
    sha256: Sha256


class IdxPair(Spec):
    """Images and labels in the IDX format (http://yann.lecun.com/exdb/mnist/), gzip-compressed, row by row the same examples."""

    images: SourceFile
    labels: SourceFile


class IdxSource(Spec):
    """Where raw IDX files are looked for, in this order: `path`, the Debian package, the mirror in the store, the download."""

    path: Path | None = None
    """A folder holding the files; relative to the YAML file. When given, neither package nor download is looked at."""
    debian_package: str | None = None
    download: str | None = None
    """Base URL; the file's name is appended."""
    train: IdxPair
    test: IdxPair

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """All raw files, in a fixed order."""
        return (self.train.images, self.train.labels, self.test.images, self.test.labels)


class DatasetSpec(Spec):
    """A dataset as its author declares it."""

    name: Name
    source: IdxSource
    freshness: timedelta = timedelta(days=14)
    """How old a materialisation may be and still be used (ISO-8601 duration, e.g. `P14D`)."""
    validation_rows: int = Field(default=5000, gt=0)
    """Rows held out of the source's training part, stratified by label."""
    seed: int = 0
    """Of the split. Part of the materialisation key."""
    rows_per_shard: int = Field(default=10_000, gt=0)
    classes: tuple[str, ...] = Field(min_length=2)
    """Class names; a label is an index into them."""
    resources: StepResources = StepResources()
    """Of the pod that ingests."""
    timeout_minutes: int = Field(default=60, ge=1)
    """How long ingesting may take."""

    @property
    def parameters(self) -> dict[str, int | tuple[str, ...]]:
        """What decides the content of a version besides the source files."""
        return {
            "validation_rows": self.validation_rows,
            "seed": self.seed,
            "rows_per_shard": self.rows_per_shard,
            "classes": self.classes,
        }


class Shard(Spec):
    """One immutable file of a dataset version."""

    split: Split
    key: str
    """Relative to the version's prefix."""
    rows: int = Field(ge=0)
    size: int = Field(ge=0)
    """Bytes."""
    sha256: Sha256
    etag: str
    """The store's own tag at writing: it changes whenever the content is replaced, and listing returns it without reading."""


class SourceStamp(Spec):
    """A source file as it was read: its digest, and a stamp that lets an unchanged file go without hashing again."""

    name: str
    sha256: Sha256
    stamp: str
    """`<location>|<size>|<mtime_ns>`: equal stamps mean unchanged; unequal ones mean the file is hashed again."""


class DatasetManifest(Spec):
    """Everything a reader needs to trust a version: names, sizes and digests of all files, schema, row counts."""

    dataset: Name
    version: str
    key: Sha256
    """The materialisation key: digest of the sources' digests, the parameters and the code version."""
    parameters: dict[str, int | tuple[str, ...]]
    """`DatasetSpec.parameters` as they were."""
    ingest_version: int
    """Of the code that wrote it: it changes when the same input would give other files."""
    created: datetime
    digest: Sha256
    """Of the content (see `content_digest`)."""
    schema_: dict[str, str] = Field(alias="schema")
    """Column name to Arrow type, as text."""
    example_shape: tuple[int, ...]
    classes: tuple[str, ...]
    sources: tuple[SourceStamp, ...]
    shards: tuple[Shard, ...]

    def rows(self, split: Split) -> int:
        """Number of rows in a split."""
        return sum(shard.rows for shard in self.shards if shard.split is split)

    @classmethod
    def parse(cls, content: bytes, *, where: str) -> DatasetManifest:
        """Read a stored manifest.

        Raises:
            CorruptError: it is not a manifest, or its digest is not that of its shards; names `where`.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise CorruptError(
                f"the manifest cannot be read: {error.errors()[0]['msg']}", where=where, remedy="Ingest the dataset again."
            ) from error

    @model_validator(mode="after")
    def _holds_together(self) -> DatasetManifest:
        if not self.shards:
            raise ValueError("a dataset version has at least one shard")
        if self.digest != content_digest(self.shards):
            raise ValueError("the digest is not that of the shards listed")
        return self


def content_digest(shards: Iterable[Shard]) -> str:
    """SHA-256 over the shards' keys, rows and SHA-256, in order: equal for equal content, wherever and whenever written."""
    digest = hashlib.sha256()
    for shard in shards:
        digest.update(f"{shard.key} {shard.rows} {shard.sha256}\n".encode())
    return digest.hexdigest()


class DatasetVersion(Spec):
    """A committed version: what later steps are handed. Immutable."""

    dataset: Name
    version: str
    location: str
    """Key prefix in the object store, ending in `/`."""
    digest: Sha256
    """Of the content (see `content_digest`)."""
    rows: dict[Split, int]
    created: datetime

    @property
    def manifest_key(self) -> str:
        """Where its manifest is stored."""
        return f"{self.location}manifest.json"


def dataset_prefix(dataset: str) -> str:
    """Key prefix of all versions of a dataset, ending in `/`."""
    return f"datasets/{dataset}/"


class Materialisation(Spec):
    """The record that a key was computed: which version holds the result, where, and since when."""

    key: Sha256
    version: DatasetVersion
    sources: tuple[SourceStamp, ...]


class Freshness(Spec):
    """The answer to "must this dataset be ingested again?", and why, as people read it."""

    fresh: bool
    reason: str
    version: DatasetVersion | None = None
    """The version to use when fresh."""
