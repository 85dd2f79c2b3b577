"""The pipeline's own dataset, from its real files: the exact split, bounded memory; and ingestion into a real S3 store."""

import io

import numpy as np
import pytest
from minio import Minio

from bench.ingest import measure_process, real_dataset, repeat_dataset
from fakes import FixedClock
from headrace.adapters.arrow_shards import ArrowShards
from headrace.adapters.dataset_reader import open_split, read_manifest
from headrace.adapters.directory_store import DirectoryStore
from headrace.adapters.idx.source import IdxFiles
from headrace.adapters.minio_store import MinioStore
from headrace.config import MinioSettings
from headrace.specs.dataset import Split
from headrace.usecases.ingest import Ingestor
from ingest_world import IngestWorld

SPLITS = {Split.TRAIN: 55_000, Split.VALIDATION: 5_000, Split.TEST: 10_000}


def test_fashion_mnist_is_split_exactly_and_evenly(tmp_path):
    spec, base = real_dataset()
    store = DirectoryStore(tmp_path)
    version = Ingestor(source=IdxFiles(), shards=ArrowShards(), store=store, clock=FixedClock()).ingest(spec, base)
    assert version.rows == SPLITS
    assert len(read_manifest(store, version).shards) == 6 + 1 + 1
    for split, rows in SPLITS.items():
        pieces = open_split(store, version, split)
        labels = np.concatenate([labels for _, labels in pieces])
        assert np.bincount(labels).tolist() == [rows // 10] * 10
        assert {images.shape[1:] for images, _ in pieces} == {(28, 28)}
        assert 60 < np.mean([images.mean() for images, _ in pieces]) < 85, "the mean of Fashion-MNIST's pixels is 73"


def test_memory_does_not_grow_with_the_data(tmp_path):
    spec, base = real_dataset()
    store = tmp_path / "store"
    one = measure_process(store, spec, base)
    four = measure_process(store, repeat_dataset(spec, base, tmp_path / "raw", times=4), tmp_path)
    assert four.peak_mb < 1.1 * one.peak_mb
    assert one.peak_mb < 250


class TestOnS3:
    @pytest.fixture
    def world(self, tmp_path, s3_server):
        settings = MinioSettings(endpoint=s3_server, bucket="datasets", access_key="tester", secret_key="tester-secret")
        world = IngestWorld(tmp_path, store=MinioStore(settings, cache=tmp_path / "cache"))
        world.version = world.ingest().version
        return world

    def test_a_version_is_fresh_and_can_be_mapped(self, world):
        assert world.check().reason.endswith("5 shards verified by listing")
        assert world.check(full=True).fresh
        images, labels = world.split(world.version, Split.TRAIN)
        assert len(images) == len(labels) == 100

    def test_swapped_shards_are_found(self, world):
        keys = [f"{world.version.location}train/part-0000{number}.arrow" for number in (0, 1)]
        contents = [world.store.get_bytes(key) for key in keys]
        for key, content in zip(keys, reversed(contents), strict=True):
            world.store.put_bytes(key, content)
        assert world.check().reason == "stale: shard train/part-00000.arrow was replaced by other content"

    def test_a_deleted_shard_is_found(self, world):
        world.store.delete(f"{world.version.location}test/part-00000.arrow")
        assert world.check().reason == "stale: shard test/part-00000.arrow is missing"

    def test_a_shard_that_the_store_gives_back_damaged_is_found(self, world, s3_server):
        """Its digest is recorded beside it: the store's own word for what was put."""
        key = f"{world.version.location}train/part-00000.arrow"
        content = bytearray(world.store.get_bytes(key))
        content[-100] ^= 1
        client = Minio(s3_server, access_key="tester", secret_key="tester-secret", secure=False)
        metadata = {"sha256": client.stat_object("datasets", key).metadata["x-amz-meta-sha256"]}
        client.put_object("datasets", key, io.BytesIO(content), len(content), metadata=metadata)
        assert world.check().reason == "stale: shard train/part-00000.arrow is damaged"

    def test_the_local_copy_is_not_taken_for_the_stored_one(self, world):
        """A full check must find what changed in the store, not hash the cache's copy of what was there before."""
        key = f"{world.version.location}train/part-00000.arrow"
        world.store.fetch(key)
        content = bytearray(world.store.get_bytes(key))
        content[-100] ^= 1
        world.store.put_bytes(key, bytes(content))
        assert "was replaced by other content" in world.check(full=True).reason
