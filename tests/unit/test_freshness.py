"""Freshness: every reason to ingest again is found and said, and what is fresh is proved without reading the data."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from fakes import FakeStore
from headrace.adapters.directory_store import DirectoryStore
from headrace.usecases import materialisation
from headrace.usecases.freshness import in_words
from ingest_world import IngestWorld

SHARD = "train/part-00001.arrow"


class CountingStore(FakeStore):
    """Counts what reading costs."""

    def __init__(self):
        super().__init__()
        self.reads = []

    def get_bytes(self, key):
        self.reads.append(key.rpartition("/")[2])
        return super().get_bytes(key)

    def fetch(self, key):
        self.reads.append(key.rpartition("/")[2])
        return super().fetch(key)

    def list(self, prefix):
        self.reads.append("listing")
        return super().list(prefix)


@pytest.fixture
def world(tmp_path):
    """With one version ingested three days ago."""
    world = IngestWorld(tmp_path, store=CountingStore())
    world.version = world.ingest().version
    world.clock.pass_time(days=3)
    world.store.reads.clear()
    return world


@pytest.fixture
def on_disk(tmp_path):
    """The same, in a directory store; `shard` is the path of one of its shards."""
    world = IngestWorld(tmp_path, store=DirectoryStore(tmp_path / "store"))
    world.version = world.ingest().version
    world.shard = tmp_path / "store" / world.version.location / SHARD
    return world


def test_a_verified_version_is_fresh_at_the_cost_of_one_manifest_and_one_listing(world):
    found = world.check()
    assert found.fresh
    assert found.version == world.version
    assert found.reason == "cached: 3 days old, limit 14 days; 5 shards verified by listing"
    assert world.store.reads == ["manifest.json", "listing"]


def test_a_full_check_reads_everything(world):
    assert world.check(full=True).reason == "cached: 3 days old, limit 14 days; 5 shards verified by hashing"
    assert len(world.store.reads) == 2 + 5


def test_never_ingested(tmp_path):
    found = IngestWorld(tmp_path).check()
    assert (found.fresh, found.version, found.reason) == (False, None, "stale: never ingested")


def test_a_forced_refresh(world):
    found = world.check(force=True)
    assert (found.fresh, found.version, found.reason) == (False, None, "stale: refresh was forced")
    assert world.store.reads == []


def test_too_old(world):
    world.clock.pass_time(days=11)
    assert world.check().fresh, "the limit itself is still fresh"
    world.clock.pass_time(hours=1)
    assert world.check().reason == "stale: 14 days 1 hour old, limit 14 days"
    assert world.check(world.spec(freshness="P15D")).fresh
    assert world.check(world.spec(freshness="PT1H")).reason == "stale: 14 days 1 hour old, limit 1 hour"


def test_changed_parameters_are_named(world):
    found = world.check(world.spec(seed=1, validation_rows=21))
    assert found.reason == "stale: parameters changed: validation_rows 20 → 21, seed 0 → 1"
    assert "classes" in world.check(world.spec(classes=("a", "b", "c", "d"))).reason


def test_changed_code(world, monkeypatch):
    monkeypatch.setattr(materialisation, "INGEST_VERSION", materialisation.INGEST_VERSION + 1)
    assert world.check().reason == "stale: the ingest code changed: version 1 → 2"


def test_what_does_not_change_the_content_does_not_make_it_stale(world):
    assert world.check(world.spec(source={"debian_package": "dataset-shoes"}, freshness="P4D")).fresh


def test_a_source_that_the_spec_declares_anew(world):
    world.change_source()
    assert world.check().reason == "stale: source train-images-idx3-ubyte.gz changed"


def test_a_source_that_changed_under_an_old_declaration(world):
    before = world.spec()
    world.change_source(("test", "labels"))
    assert world.check(before).reason == "stale: source t10k-labels-idx1-ubyte.gz changed"


def test_a_source_that_was_only_touched(world):
    for path in (world.folder / "raw").iterdir():
        os.utime(path, (0, 0))
    assert world.check().fresh


def test_sources_that_are_gone_count_as_unchanged_and_the_reason_says_so(world):
    shutil.rmtree(world.folder / "raw")
    assert world.check().reason.endswith("; 4 of 4 source files are not on this machine and taken as unchanged")


def test_a_lost_manifest(world):
    world.store.delete(world.version.manifest_key)
    assert world.check().reason == f"stale: the manifest is missing (at {world.version.manifest_key})"


@pytest.mark.parametrize("broken", [b"", b"{", b"{}", None])
def test_a_manifest_that_cannot_be_trusted(world, broken):
    content = world.store.get_bytes(world.version.manifest_key)
    changed = content.replace(b'"rows": 40', b'"rows": 41', 1) if broken is None else broken
    assert changed != content
    world.store.put_bytes(world.version.manifest_key, changed)
    found = world.check()
    assert not found.fresh
    assert "the manifest cannot be read" in found.reason


def test_the_manifest_of_another_version(world):
    other = world.ingest(world.spec(seed=1)).version
    world.store.put_bytes(other.manifest_key, world.store.get_bytes(world.version.manifest_key))
    assert "the manifest is not the one that was committed" in world.check(world.spec(seed=1)).reason


def test_a_deleted_shard(world):
    world.store.delete(world.version.location + SHARD)
    assert world.check().reason == f"stale: shard {SHARD} is missing"


def test_a_truncated_shard(on_disk):
    size = on_disk.shard.stat().st_size
    os.truncate(on_disk.shard, size - 8)
    assert on_disk.check().reason == f"stale: shard {SHARD} has {size - 8} bytes, not {size}"


def test_swapped_shards(on_disk):
    other = on_disk.shard.with_name("part-00000.arrow")
    assert on_disk.shard.stat().st_size == other.stat().st_size, "or the test would show nothing"
    spare = on_disk.shard.with_name("spare")
    on_disk.shard.rename(spare)
    other.rename(on_disk.shard)
    spare.rename(other)
    assert on_disk.check().reason == "stale: shard train/part-00000.arrow was replaced by other content"


def test_a_shard_overwritten_in_place(on_disk):
    content = bytearray(on_disk.shard.read_bytes())
    content[-100] ^= 1
    on_disk.shard.write_bytes(content)
    assert on_disk.check().reason == f"stale: shard {SHARD} was replaced by other content"


def test_damage_that_left_no_trace_is_found_by_a_full_check(on_disk):
    status = on_disk.shard.stat()
    content = bytearray(on_disk.shard.read_bytes())
    content[-100] ^= 1
    on_disk.shard.write_bytes(content)
    os.utime(on_disk.shard, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert on_disk.check().fresh
    assert on_disk.check(full=True).reason == f"stale: shard {SHARD} was replaced by other content"


def test_a_restored_copy_of_a_shard_is_found_equal(on_disk):
    copy = Path(shutil.copy(on_disk.shard, on_disk.shard.with_name("copy")))
    copy.rename(on_disk.shard)
    found = on_disk.check()
    assert found.fresh
    assert "5 shards verified by listing, 1 of them replaced since and found equal by hashing" in found.reason


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(days=14), "14 days"),
        (timedelta(days=1, hours=5), "1 day"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=59, seconds=59), "59 minutes"),
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(seconds=-5), "less than a minute"),
    ],
)
def test_durations_in_words(span, words):
    assert in_words(span) == words
