"""Dataset versions and jobs for training's own tests: synthetic images that a network learns within seconds."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.adapters.arrow_shards import ArrowShards
from headrace.ports.source import Batch
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import DatasetManifest, DatasetVersion, Shard, Split, content_digest
from headrace.specs.training import Architecture, MemberSpec, TrainingJob, TrainingSpec

SHAPE = (28, 28)
CLASSES = tuple(f"class-{index}" for index in range(10))
ZEROS = "0" * 64


def synthetic(rows: int, *, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Ten fixed patterns under noise."""
    patterns = np.random.default_rng(0).integers(0, 256, (len(CLASSES), *SHAPE))
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(CLASSES), rows).astype(np.uint8)
    noise = random.integers(0, 256, (rows, *SHAPE))
    return ((patterns[labels] + noise) // 2).astype(np.uint8), labels


def smooth(rows: int, *, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Ten fixed patterns of 4 × 4 faint squares under strong noise: hard to tell apart, and hardly another when shifted."""
    patterns = np.kron(np.random.default_rng(1).integers(-20, 21, (len(CLASSES), 4, 4)), np.ones((7, 7)))
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(CLASSES), rows).astype(np.uint8)
    return np.clip(128 + patterns[labels] + random.normal(0, 50, (rows, *SHAPE)), 0, 255).astype(np.uint8), labels


Examples = Callable[..., tuple[NDArray[np.uint8], NDArray[np.uint8]]]
"""Takes how many, and a seed."""


def write_version(
    store: ObjectStore, *, rows: dict[Split, int], name: str = "synthetic", examples: Examples = synthetic
) -> DatasetVersion:
    """Write a dataset version as ingestion does: one shard a split, the manifest last."""
    version = DatasetVersion(
        dataset=name, version="v1", location=f"datasets/{name}/v1/", digest=ZEROS, rows=rows, created=datetime.now(UTC)
    )
    shards = tuple(
        _write_shard(store, version.location, split, *examples(count, seed=index))
        for index, (split, count) in enumerate(rows.items())
    )
    manifest = DatasetManifest(
        dataset=name, version="v1", key=ZEROS, parameters={}, ingest_version=1, created=version.created,
        digest=content_digest(shards), schema=ArrowShards().schema(SHAPE), example_shape=SHAPE, classes=CLASSES, sources=(),
        shards=shards,
    )  # fmt: skip
    store.put_bytes(version.manifest_key, manifest.model_dump_json(by_alias=True).encode())
    return version.model_copy(update={"digest": manifest.digest})


def training_job(version: DatasetVersion, *, architecture: Architecture = Architecture.CNN, **training: Any) -> TrainingJob:
    """A small job."""
    return TrainingJob(
        pipeline="tiny",
        run="run-1",
        name=architecture.value,
        member=MemberSpec(architecture=architecture, description="A member of the tests."),
        training=TrainingSpec.model_validate({"epochs": 2, "batch_size": 128, "timeout_minutes": 4, **training}),
        dataset=version,
        model="tiny",
    )


def _write_shard(store: ObjectStore, location: str, split: Split, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Shard:
    key = f"{split.value}/part-00000.arrow"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "shard.arrow")
        with closing(ArrowShards().create(path, SHAPE)) as file:
            file.append(Batch(images, labels))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        stored = store.put_file(location + key, path)
    return Shard(split=split, key=key, rows=len(labels), size=stored.size, sha256=digest, etag=stored.etag)
