"""The mirror of raw files: for machines that can neither install nor download them."""

import gzip

import pytest

from fakes import FakeStore
from headrace.adapters.idx import locate
from headrace.adapters.idx.mirror import SourceMirror
from headrace.adapters.idx.source import IdxFiles
from headrace.errors import CorruptError, SourceError, UnavailableError
from headrace.specs.dataset import Split
from headrace.usecases.mirror import mirror_source
from idx_files import NAMES, write_raw
from ingest_world import IngestWorld

IMAGES = NAMES["train", "images"]


@pytest.fixture
def world(tmp_path):
    return IngestWorld(tmp_path)


def mirror(world, spec=None, store=None):
    """Mirror from the folder `raw`; the names of what was copied."""
    copied = []
    mirror_source(
        spec or world.spec(),
        world.folder,
        source=IdxFiles(),
        store=store or world.store,
        progress=lambda file: copied.append(file.name),
    )
    return copied


def elsewhere(world, **source):
    """The dataset's spec as a machine sees it that has none of the files."""
    return world.spec(source={"path": None, **source})


def stamps(world, spec):
    with IdxFiles(SourceMirror(world.store, spec.name)).open(spec.source, world.folder) as raw:
        return [stamp.stamp for stamp in raw.stamps]


def install_package(monkeypatch, folder):
    monkeypatch.setattr(locate, "_files_of_package", lambda package: [*folder.glob("*")])


class TestMirroring:
    def test_the_files_are_stored_under_the_dataset_and_the_manifest_names_them(self, world):
        assert sorted(mirror(world)) == sorted(NAMES.values())
        assert world.stored("sources/") == sorted(f"sources/shoes/{name}" for name in (*NAMES.values(), "manifest.json"))
        assert gzip.decompress(world.store.get_bytes(f"sources/shoes/{IMAGES}")) == world.content["train", "images"]

    def test_what_is_mirrored_is_not_copied_again_even_where_the_files_are_not(self, world):
        mirror(world)
        assert mirror(world, elsewhere(world)) == []

    def test_an_object_that_was_removed_or_replaced_is_copied_again(self, world):
        mirror(world)
        world.store.delete(f"sources/shoes/{IMAGES}")
        assert IMAGES in mirror(world)
        world.store.put_bytes(f"sources/shoes/{IMAGES}", b"something else")
        assert IMAGES in mirror(world)
        assert mirror(world) == []

    def test_a_file_that_is_not_the_declared_one_changes_nothing(self, world):
        mirror(world)
        before = list(world.store.list(""))
        world.change_source()
        (world.folder / "raw" / IMAGES).write_bytes(gzip.compress(b"something else"))
        with pytest.raises(SourceError, match=f"{IMAGES} is not the file the spec declares"):
            mirror(world)
        assert list(world.store.list("")) == before

    def test_a_crash_in_the_middle_leaves_nothing_mirrored(self, world):
        class Full(FakeStore):
            def put_file(self, key, path):
                if "labels" in key:
                    raise UnavailableError("the disk is full")
                return super().put_file(key, path)

        world.store = Full()
        with pytest.raises(UnavailableError):
            mirror(world)
        with pytest.raises(SourceError, match="found nowhere"):
            stamps(world, elsewhere(world))

    def test_while_files_are_replaced_nothing_is_mirrored(self, world):
        mirror(world)
        former = world.spec()
        world.change_source()
        seen = []
        mirror_source(
            world.spec(),
            world.folder,
            source=IdxFiles(),
            store=world.store,
            progress=lambda _: seen.append(SourceMirror(world.store, "shoes").fetch(former.source.files)),
        )
        assert seen == [{}, {}, {}, {}]


class TestIngesting:
    def test_a_machine_without_the_files_ingests_the_mirrored_ones(self, world):
        mirror(world)
        here = world.ingest().version
        there = world.ingest(elsewhere(world), run="r2", force=True)
        assert not there.cached
        assert there.version.digest == here.digest
        assert len(world.split(there.version, Split.TRAIN)[0]) == 100
        assert stamps(world, elsewhere(world)) == [
            world.store.uri(f"sources/shoes/{file.name}") for file in world.spec().source.files
        ]

    def test_a_spec_with_a_path_looks_in_the_mirror_too(self, world):
        mirror(world)
        (world.folder / "raw" / IMAGES).unlink()
        assert [stamp.startswith(str(world.folder / "raw")) for stamp in stamps(world, world.spec())] == [False, True, True, True]

    def test_the_package_comes_before_the_mirror_and_the_mirror_before_the_download(self, world, tmp_path, monkeypatch):
        mirror(world)
        write_raw(tmp_path / "package", world.content)
        (tmp_path / "package" / IMAGES).unlink()
        install_package(monkeypatch, tmp_path / "package")
        images, *others = stamps(world, elsewhere(world, debian_package="dataset-shoes", download="http://127.0.0.1:9/"))
        assert images == world.store.uri(f"sources/shoes/{IMAGES}")
        assert all(str(tmp_path / "package") in stamp for stamp in others)

    def test_a_mirrored_file_that_is_not_the_declared_one_does_not_count(self, world):
        mirror(world)
        world.change_source()
        with pytest.raises(SourceError, match=rf"{IMAGES} was found nowhere.*`headrace mirror`"):
            stamps(world, elsewhere(world))

    def test_a_mirror_that_lacks_what_its_manifest_names_says_so(self, world):
        mirror(world)
        world.store.delete(f"sources/shoes/{IMAGES}")
        with pytest.raises(SourceError, match=f"the mirror lacks {IMAGES}.*Mirror the files again"):
            stamps(world, elsewhere(world))

    def test_a_manifest_that_cannot_be_read_says_so_and_mirroring_again_repairs_it(self, world):
        mirror(world)
        world.store.put_bytes("sources/shoes/manifest.json", b"{")
        with pytest.raises(CorruptError, match=r"the mirror's manifest cannot be read.*`headrace mirror`"):
            stamps(world, elsewhere(world))
        assert len(mirror(world)) == 4
        assert len(stamps(world, elsewhere(world))) == 4


class TestFreshness:
    def test_what_came_from_the_mirror_is_unchanged_with_the_files_and_without_them(self, world):
        mirror(world)
        world.ingest(elsewhere(world))
        assert "4 of 4 source files are not on this machine and taken as unchanged" in world.check(elsewhere(world)).reason
        assert world.check(world.spec()).fresh

    def test_looking_asks_nothing_of_the_mirror(self, world):
        mirror(world)
        world.ingest(elsewhere(world))
        for key in world.stored("sources/"):
            world.store.delete(key)
        assert world.check(elsewhere(world)).fresh
