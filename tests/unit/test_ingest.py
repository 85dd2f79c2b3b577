"""Ingesting: exact splits, the same bytes for the same input, nothing visible before the end, one at a time."""

import gzip
import itertools
import json
import threading

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes import FakeCatalogue, FakeStore
from headrace.adapters.arrow_shards import RECORD_ROWS, ArrowShards, map_shard
from headrace.adapters.dataset_reader import open_split, read_manifest
from headrace.errors import InvalidSpecError, NotFoundError, SourceError
from headrace.ports.source import Batch
from headrace.specs.dataset import Split
from idx_files import NAMES, SHAPE, idx_bytes, images_of, labels_of
from ingest_world import IngestWorld


@pytest.fixture
def world(tmp_path):
    return IngestWorld(tmp_path)


def numbers(images):
    """The row numbers the images tell."""
    return images.reshape(len(images), -1)[:, 0].astype(int) * 256 + images.reshape(len(images), -1)[:, 1]


def test_every_example_is_in_exactly_one_split_with_its_own_label(world):
    result = world.ingest()
    assert not result.cached
    assert result.reason == "stale: never ingested"
    assert result.version.rows == {Split.TRAIN: 100, Split.VALIDATION: 20, Split.TEST: 30}
    images, labels = zip(*(world.split(result.version, split) for split in Split), strict=True)
    assert [len(part) for part in labels] == [100, 20, 30]
    assert sorted(np.concatenate([numbers(part) for part in images])) == list(range(150))
    assert (np.sort(numbers(images[2])) == np.arange(120, 150)).all(), "the source's test part is the test split"
    truth_images = np.concatenate([images_of(120), images_of(30, 120)])
    truth_labels = np.concatenate([labels_of(120), labels_of(30)])
    for part, part_labels in zip(images, labels, strict=True):
        assert (part == truth_images[numbers(part)]).all()
        assert (part_labels == truth_labels[numbers(part)]).all()


def test_validation_is_stratified(world):
    _, train = world.split(version := world.ingest().version, Split.TRAIN)
    _, validation = world.split(version, Split.VALIDATION)
    whole = np.bincount(labels_of(120))
    assert (np.bincount(train) + np.bincount(validation) == whole).all()
    assert np.abs(np.bincount(validation) - whole / 6).max() < 1


def test_the_manifest_tells_all(world):
    version = world.ingest().version
    manifest = read_manifest(world.store, version)
    prefix = f"datasets/shoes/{version.version}/"
    assert version.location == prefix
    assert [shard.key for shard in manifest.shards] == [
        "train/part-00000.arrow",
        "train/part-00001.arrow",
        "train/part-00002.arrow",
        "validation/part-00000.arrow",
        "test/part-00000.arrow",
    ]
    assert [shard.rows for shard in manifest.shards] == [40, 40, 20, 20, 30]
    assert world.stored() == sorted([prefix + shard.key for shard in manifest.shards] + [f"{prefix}manifest.json"])
    assert manifest.schema_ == {"image": "fixed_shape_tensor<uint8>[4, 3]", "label": "uint8"}
    assert manifest.example_shape == SHAPE
    assert [stamp.sha256 for stamp in manifest.sources] == [file.sha256 for file in world.spec().source.files]
    assert "schema" in json.loads(world.store.get_bytes(version.manifest_key))


def test_versions_sort_by_time_and_are_unique(world):
    first = world.ingest().version.version
    second = world.ingest(force=True).version.version
    world.clock.pass_time(seconds=1)
    third = world.ingest(force=True).version.version
    assert first.startswith("20261121T110052Z-")
    assert len({first, second, third}) == 3
    assert third > max(first, second)


def test_the_same_input_and_seed_give_the_same_content(world, tmp_path):
    other = IngestWorld(tmp_path / "other")
    assert world.ingest().version.digest == other.ingest().version.digest
    assert world.ingest(world.spec(seed=1)).version.digest != other.ingest().version.digest


def test_a_fresh_version_is_used(world):
    made = world.ingest()
    again = world.ingest()
    assert again.cached
    assert again.version == made.version
    assert again.reason.startswith("cached: less than a minute old")


def test_a_forced_or_changed_source_is_ingested_again(world):
    first = world.ingest().version
    forced = world.ingest(force=True)
    assert (forced.cached, forced.reason) == (False, "stale: refresh was forced")
    assert forced.version.digest == first.digest
    world.change_source()
    changed = world.ingest()
    assert (changed.cached, changed.reason) == (False, "stale: source train-images-idx3-ubyte.gz changed")
    assert changed.version.digest != first.digest
    assert len(world.catalogue.versions("shoes")) == 3


def test_a_damaged_version_is_replaced_and_stays_known(world):
    first = world.ingest().version
    world.store.delete(f"{first.location}test/part-00000.arrow")
    second = world.ingest()
    assert (second.cached, second.reason) == (False, "stale: shard test/part-00000.arrow is missing")
    assert world.check().version == second.version


def test_progress_ends_with_all_rows(world):
    seen = []
    world.progress = lambda done, total: seen.append((done, total))
    world.ingest()
    assert seen == [(120, 150), (150, 150)]


class TestBadInput:
    """Nothing is committed, and the next sound input is ingested."""

    def refused(self, world, message, error=SourceError, **changes):
        with pytest.raises(error, match=message) as raised:
            world.ingest(world.spec(**changes))
        assert world.catalogue.latest("shoes") is None
        assert not [key for key in world.stored() if key.endswith("manifest.json")]
        return str(raised.value)

    def recovers(self, tmp_path, world):
        sound = IngestWorld(tmp_path, store=world.store, catalogue=world.catalogue)
        assert sound.ingest().reason == "stale: never ingested"
        assert len(sound.stored()) == 6, "what the failed attempt left is gone"

    @pytest.mark.parametrize("which", sorted(NAMES))
    def test_truncated_gzip(self, world, tmp_path, which):
        path = tmp_path / "raw" / NAMES[which]
        path.write_bytes(path.read_bytes()[:-9])
        assert str(path) in self.refused(world, "cut off")
        self.recovers(tmp_path, world)

    @pytest.mark.parametrize("which", sorted(NAMES))
    def test_other_content_than_declared(self, world, tmp_path, which):
        path, content = tmp_path / "raw" / NAMES[which], bytearray(world.content[which])
        content[-1] ^= 1
        path.write_bytes(gzip.compress(content))
        assert str(path) in self.refused(world, "SHA-256 is")
        self.recovers(tmp_path, world)

    def test_missing_file(self, world, tmp_path):
        (tmp_path / "raw" / NAMES["test", "images"]).unlink()
        self.refused(world, "t10k-images-idx3-ubyte.gz does not exist")

    def test_label_without_a_class(self, world):
        self.refused(world, "labels go up to 3, but the spec names 3 classes", classes=("a", "b", "c"))

    def test_more_validation_rows_than_rows(self, world):
        self.refused(world, "120 validation rows cannot be held out", InvalidSpecError, validation_rows=120)

    def test_wrong_magic(self, world, tmp_path):
        (tmp_path / "raw" / NAMES["train", "labels"]).write_bytes(gzip.compress(b"not idx"))
        self.refused(world, "magic number")

    def test_counts_that_differ(self, world, tmp_path):
        (tmp_path / "raw" / NAMES["train", "labels"]).write_bytes(gzip.compress(idx_bytes(labels_of(119))))
        self.refused(world, "has 120 rows")


class CrashError(BaseException):
    """As if the process had been killed."""


class Crashing:
    """Wraps writers; the process dies before (or right after) the n-th write."""

    def __init__(self, at, *, after):
        self.left, self.after = at, after

    def around(self, write, *arguments):
        self.left -= 1
        if self.left == 0 and not self.after:
            raise CrashError
        result = write(*arguments)
        if self.left == 0:
            raise CrashError
        return result


class CrashingStore(FakeStore):
    crash = None

    def put_bytes(self, key, data):
        return self.crash.around(super().put_bytes, key, data) if self.crash else super().put_bytes(key, data)


class CrashingCatalogue(FakeCatalogue):
    crash = None

    def commit(self, materialisation):
        return self.crash.around(super().commit, materialisation) if self.crash else super().commit(materialisation)


WRITES = 8
"""Five shards, the manifest, the step's result, the catalogue."""
MANIFEST = 6


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, WRITES + 1))
def test_a_crash_at_any_write_leaves_all_or_nothing_and_the_next_ingestion_repairs_it(tmp_path, at, after):
    world = IngestWorld(tmp_path, store=CrashingStore(), catalogue=CrashingCatalogue())
    world.store.crash = world.catalogue.crash = Crashing(at, after=after)
    with pytest.raises(CrashError):
        world.ingest()
    world.store.crash = world.catalogue.crash = None
    committed = at == WRITES and after
    assert world.check().fresh == committed
    whole = at > MANIFEST or (at == MANIFEST and after)
    assert world.ingest().cached == whole, "a version with its manifest is whole, only unknown"
    assert len(world.catalogue.versions("shoes")) == 1
    assert len(world.stored()) == MANIFEST, "no garbage is left"
    assert world.check(full=True).fresh


def test_there_are_no_other_writes(tmp_path):
    world = IngestWorld(tmp_path, store=CrashingStore(), catalogue=CrashingCatalogue())
    world.store.crash = world.catalogue.crash = Crashing(WRITES + 1, after=False)
    world.ingest()
    assert world.store.crash.left == 1


def test_a_broken_manifest_that_was_never_committed_is_garbage(world):
    world.store.put_bytes("datasets/shoes/20200101T000000Z-000000/manifest.json", b"{")
    world.store.put_bytes("datasets/shoes-and-bags/v/manifest.json", b"another dataset's")
    version = world.ingest().version
    assert [key for key in world.stored() if not key.startswith(version.location)] == ["datasets/shoes-and-bags/v/manifest.json"]


@pytest.mark.parametrize("force", [False, True])
def test_of_two_at_once_the_second_waits_and_uses_what_the_first_made(world, force):
    writing, go_on, results = threading.Event(), threading.Event(), {}
    asked = threading.Event()
    hold = world.locks.hold

    def hold_visibly(name):
        if writing.is_set():
            asked.set()
        return hold(name)

    def pause(_done, _total):
        writing.set()
        assert go_on.wait(30)

    world.locks.hold = hold_visibly
    world.progress = pause
    first = threading.Thread(target=lambda: results.update(first=world.ingest(force=force)))
    second = threading.Thread(target=lambda: results.update(second=world.ingest(force=force)))
    first.start()
    assert writing.wait(30)
    second.start()
    assert asked.wait(30)
    second.join(0.05)
    assert "second" not in results
    go_on.set()
    first.join(30)
    second.join(30)
    assert not results["first"].cached
    assert results["second"].cached
    assert results["second"].version == results["first"].version


class TestShards:
    @given(cuts=st.lists(st.integers(0, 2 * RECORD_ROWS + 7), max_size=6))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
    def test_bytes_do_not_depend_on_how_rows_arrive(self, tmp_path, cuts):
        rows = 2 * RECORD_ROWS + 7
        whole = Batch(np.arange(rows * 2, dtype=np.uint32).astype(np.uint8).reshape(rows, 1, 2), np.arange(rows).astype(np.uint8))
        written = []
        for bounds in ([0, rows], [0, *sorted(cuts), rows]):
            path = tmp_path / "shard"
            file = ArrowShards().create(path, (1, 2))
            for start, stop in itertools.pairwise(bounds):
                file.append(whole.rows(slice(start, stop)))
            file.close()
            written.append(path.read_bytes())
        assert written[0] == written[1]

    def test_a_shard_is_mapped_not_read(self, world):
        version = world.ingest().version
        before = pa.total_allocated_bytes()
        (images, labels), *_ = open_split(world.store, version, Split.TRAIN)
        assert pa.total_allocated_bytes() == before
        assert (images.dtype, images.shape, labels.dtype) == (np.uint8, (40, *SHAPE), np.uint8)
        assert not images.flags.writeable
        assert not labels.flags.writeable

    def test_other_readers_see_a_tensor_column(self, world):
        version = world.ingest().version
        table = pa.ipc.open_file(world.store.fetch(f"{version.location}train/part-00000.arrow")).read_all()
        assert table.schema.field("image").type == pa.fixed_shape_tensor(pa.uint8(), SHAPE)
        assert table.schema.field("label").type == pa.uint8()
        assert len(map_shard(world.store.fetch(f"{version.location}train/part-00000.arrow"))) == table.column(0).num_chunks

    def test_a_version_the_store_has_lost(self, world):
        version = world.ingest().version
        world.store.delete(version.manifest_key)
        with pytest.raises(NotFoundError):
            open_split(world.store, version, Split.TRAIN)
