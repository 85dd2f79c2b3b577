"""The object store: one contract, on the fake, on a directory, and on S3 servers (a real MinIO among them)."""

import io
import os
import threading
import time
import uuid
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minio import Minio

from fakes import FakeStore
from headrace.adapters.directory_store import DirectoryStore
from headrace.adapters.minio_store import MinioStore
from headrace.adapters.stores import open_store
from headrace.config import MinioSettings, Settings, StoreKind
from headrace.errors import CorruptError, InvalidSpecError, NotFoundError, UnavailableError
from headrace.ports.store import check_key


def minio_settings(server, bucket):
    return MinioSettings(endpoint=server, bucket=bucket, access_key="tester", secret_key="tester-secret")


def new_bucket():
    return f"bucket-{uuid.uuid4().hex}"


@pytest.fixture(params=["fake", "directory", "moto", "minio"])
def store(request, tmp_path):
    if request.param == "fake":
        return FakeStore()
    if request.param == "directory":
        return DirectoryStore(tmp_path / "store")
    server = request.getfixturevalue(request.param)
    endpoint = server if request.param == "moto" else server.endpoint
    return MinioStore(minio_settings(endpoint, new_bucket()), cache=tmp_path / "cache")


def keys(store, prefix=""):
    return [found.key for found in store.list(prefix)]


def test_what_was_put_is_got_and_fetched(store, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"from a file")
    store.put_file("a/file.txt", file)
    store.put_bytes("a/bytes", b"from memory")
    store.put_bytes("empty", b"")
    assert store.get_bytes("a/file.txt") == b"from a file"
    assert store.get_bytes("a/bytes") == b"from memory"
    assert store.get_bytes("empty") == b""
    assert store.fetch("a/file.txt").read_bytes() == b"from a file"
    assert file.read_bytes() == b"from a file", "put_file copies"


def test_the_same_content_is_fetched_once(store):
    store.put_bytes("a", b"first")
    first = store.fetch("a")
    assert store.fetch("a") == first
    store.put_bytes("a", b"second")
    assert store.fetch("a").read_bytes() == b"second"


def content_behind(url):
    return Path(unquote(urlsplit(url).path)).read_bytes() if url.startswith("file:") else httpx.get(url, trust_env=False).content


def test_a_presigned_url_gives_the_content_without_credentials(store):
    store.put_bytes("a/b c.txt", b"content")
    assert content_behind(store.presign("a/b c.txt", expires=timedelta(minutes=1))) == b"content"
    for expires in (timedelta(), timedelta(days=7, seconds=1)):
        with pytest.raises(InvalidSpecError, match="between a second and seven days"):
            store.presign("a/b c.txt", expires=expires)


def test_absent_objects(store):
    for read in (store.get_bytes, store.fetch):
        with pytest.raises(NotFoundError, match="missing/object"):
            read("missing/object")
    store.delete("missing/object")
    assert keys(store, "missing/") == []


def test_deleting_removes_the_object_alone(store):
    store.put_bytes("a/b/c", b"1")
    store.put_bytes("a/b/d", b"2")
    store.delete("a/b/c")
    assert keys(store) == ["a/b/d"]
    store.delete("a/b/d")
    assert keys(store) == []
    store.put_bytes("a/b/c", b"again")
    assert store.get_bytes("a/b/c") == b"again"


def test_a_listing_is_ordered_by_key_and_a_prefix_is_any_text(store):
    for key in ("b", "a/b", "a-b", "a.b", "ab", "a/b2/c", "a/b-", "A", "ä"):
        store.put_bytes(key, key.encode())
    assert keys(store) == ["A", "a-b", "a.b", "a/b", "a/b-", "a/b2/c", "ab", "b", "ä"]
    assert keys(store, "a/") == ["a/b", "a/b-", "a/b2/c"]
    assert keys(store, "a/b") == ["a/b", "a/b-", "a/b2/c"]
    assert keys(store, "a/b2") == ["a/b2/c"]
    assert keys(store, "c") == keys(store, "b/") == []


def test_a_listing_shows_what_putting_returned(store, tmp_path):
    file = tmp_path / "large"
    file.write_bytes(os.urandom(20_000_000))  # S3 sends it in parts
    put = [store.put_bytes("a", b"abc"), store.put_file("b", file)]
    assert list(store.list("")) == put
    assert [found.size for found in put] == [3, 20_000_000]
    assert store.fetch("b").read_bytes() == file.read_bytes()


def test_the_tag_changes_with_the_content_even_of_the_same_size(store):
    before = store.put_bytes("a", b"abc")
    after = store.put_bytes("a", b"xyz")
    assert before.size == after.size
    assert before.etag != after.etag
    assert list(store.list("a")) == [after]


def test_more_objects_than_a_page(store):
    for index in range(1005):
        store.put_bytes(f"many/{index:04d}", b"")
    assert keys(store, "many/") == [f"many/{index:04d}" for index in range(1005)]


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\0b", "x" * 1025])
def test_keys_that_are_none_are_refused(store, key):
    for call in (
        lambda: store.put_bytes(key, b""),
        lambda: store.get_bytes(key),
        lambda: store.fetch(key),
        lambda: store.delete(key),
        lambda: store.presign(key, expires=timedelta(minutes=1)),
    ):
        with pytest.raises(InvalidSpecError):
            call()


def test_readers_see_the_old_content_or_the_new_never_a_part(store):
    contents = [bytes([letter]) * (1 << 18) for letter in b"ab"]
    store.put_bytes("a", contents[0])
    writer = threading.Thread(target=lambda: [store.put_bytes("a", contents[turn % 2]) for turn in range(20)])
    writer.start()
    while writer.is_alive():
        assert store.get_bytes("a") in contents
        assert store.fetch("a").stat().st_size == 1 << 18
    writer.join()


@given(
    st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="/\0"), min_size=1, max_size=60), max_size=6)
)
def test_any_relative_path_without_dots_is_a_key(parts):
    key = "/".join(parts)
    if parts and not {".", ".."} & set(parts) and len(key.encode()) <= 1024:
        assert check_key(key) == key
        assert not Path(key).is_absolute()
    else:
        with pytest.raises(InvalidSpecError):
            check_key(key)


class TestDirectory:
    def test_a_fetched_object_is_the_stored_file_itself(self, tmp_path):
        store = DirectoryStore(tmp_path)
        store.put_bytes("a/b", b"content")
        assert store.fetch("a/b") == tmp_path / "a" / "b" == Path(store.uri("a/b"))

    @pytest.mark.parametrize("failing", ["fsync", "replace"])
    def test_a_put_that_fails_leaves_the_former_object_and_nothing_else(self, tmp_path, monkeypatch, failing):
        store = DirectoryStore(tmp_path)
        store.put_bytes("a", b"former")

        def fail(*_arguments):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", fail) if failing == "fsync" else monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(UnavailableError, match="No space left"):
            store.put_bytes("a", b"new")
        monkeypatch.undo()
        assert store.get_bytes("a") == b"former"
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "a"]

    def test_half_written_files_are_never_listed_and_their_folder_is_no_key(self, tmp_path):
        store = DirectoryStore(tmp_path)
        (tmp_path / ".incoming" / "half").write_bytes(b"")
        assert keys(store) == keys(store, ".in") == []
        for call in (lambda: store.get_bytes(".incoming/half"), lambda: keys(store, ".incoming/")):
            with pytest.raises(InvalidSpecError, match="reserved"):
                call()

    def test_what_a_writer_that_died_left_is_removed_after_a_day(self, tmp_path):
        DirectoryStore(tmp_path)
        for name, age in (("old", 25 * 3600), ("new", 60)):
            left = tmp_path / ".incoming" / name
            left.write_bytes(b"")
            os.utime(left, (left.stat().st_atime, left.stat().st_mtime - age))
        DirectoryStore(tmp_path)
        assert [path.name for path in (tmp_path / ".incoming").iterdir()] == ["new"]

    def test_a_key_below_an_object_is_refused(self, tmp_path):
        store = DirectoryStore(tmp_path)
        store.put_bytes("a", b"")
        with pytest.raises(InvalidSpecError, match="folder of another"):
            store.put_bytes("a/b", b"")
        store.put_bytes("c/d", b"")
        with pytest.raises(InvalidSpecError, match="folder of another"):
            store.put_bytes("c", b"")

    def test_deleting_leaves_no_empty_folders(self, tmp_path):
        store = DirectoryStore(tmp_path)
        store.put_bytes("a/b/c", b"")
        store.put_bytes("a/d", b"")
        store.delete("a/b/c")
        assert not (tmp_path / "a" / "b").exists()
        assert keys(store) == ["a/d"]

    def test_a_touched_object_has_another_tag(self, tmp_path):
        store = DirectoryStore(tmp_path)
        stored = store.put_bytes("a", b"abc")
        with (tmp_path / "a").open("r+b") as file:
            file.write(b"xyz")
        os.utime(tmp_path / "a")
        assert next(store.list("a")).etag != stored.etag


class TestMinio:
    def test_the_first_put_makes_the_bucket_and_before_it_there_is_nothing(self, s3_server, tmp_path):
        settings = minio_settings(s3_server, new_bucket())
        store = MinioStore(settings, cache=tmp_path)
        assert keys(store) == []
        store.delete("a")
        for read in (store.get_bytes, store.fetch):
            with pytest.raises(NotFoundError, match="the object does not exist"):
                read("a")
        store.put_bytes("a", b"1")
        assert MinioStore(settings, cache=tmp_path).get_bytes("a") == b"1"

    def test_the_cache_forgets_what_a_key_held_an_hour_ago(self, s3_server, tmp_path):
        store = MinioStore(minio_settings(s3_server, "cached"), cache=tmp_path)
        paths = []
        for content, age in ((b"first", 3700), (b"second", 60), (b"third", 0)):
            store.put_bytes("a.arrow", content)
            paths.append(store.fetch("a.arrow"))
            os.utime(paths[-1], (time.time() - age, time.time() - age))
        assert {path.suffix for path in paths} == {".arrow"}
        assert {file for file in tmp_path.rglob("*") if file.is_file()} == set(paths[1:])

    def test_a_store_that_does_not_answer_is_unavailable_when_the_patience_is_over(self, tmp_path):
        store = MinioStore(minio_settings("127.0.0.1:9", "shared"), cache=tmp_path, patience=1)
        for call in (lambda: store.put_bytes("a", b""), lambda: store.fetch("a"), lambda: keys(store)):
            started = time.monotonic()
            with pytest.raises(UnavailableError, match=r"does not answer.*127\.0\.0\.1:9/shared"):
                call()
            assert 1 <= time.monotonic() - started < 5

    def test_malformed_settings(self, s3_server, tmp_path):
        with pytest.raises(InvalidSpecError, match="malformed"):
            MinioStore(minio_settings(s3_server, "No Bucket!"), cache=tmp_path)

    def test_content_that_is_not_what_was_put_is_refused(self, s3_server, tmp_path):
        settings = minio_settings(s3_server, new_bucket())
        store = MinioStore(settings, cache=tmp_path)
        store.put_bytes("a", b"former")
        client = Minio(s3_server, settings.access_key, settings.secret_key, secure=False)
        for content in (b"changed", os.urandom(20_000_000)):
            client.put_object(settings.bucket, "a", io.BytesIO(content), len(content), metadata={"sha256": "0" * 64})
            for read in (store.get_bytes, store.fetch):
                with pytest.raises(CorruptError, match=r"not what was put: its SHA-256 is [0-9a-f]{64}, not 0{64} \(at a\)"):
                    read("a")
        assert not [file for file in tmp_path.rglob("*") if file.is_file()]

    def test_an_object_of_another_program_is_read_as_it_is(self, s3_server, tmp_path):
        settings = minio_settings(s3_server, new_bucket())
        store = MinioStore(settings, cache=tmp_path)
        store.put_bytes("a", b"makes the bucket")
        client = Minio(s3_server, settings.access_key, settings.secret_key, secure=False)
        client.put_object(settings.bucket, "b", io.BytesIO(b"theirs"), 6)
        assert store.get_bytes("b") == store.fetch("b").read_bytes() == b"theirs"

    def test_a_large_object_replaced_while_it_is_fetched_never_mixes(self, s3_server, tmp_path):
        store = MinioStore(minio_settings(s3_server, new_bucket()), cache=tmp_path)
        contents = [bytes([letter]) * (12 << 20) for letter in b"ab"]
        store.put_bytes("a", contents[0])
        writer = threading.Thread(target=lambda: [store.put_bytes("a", contents[turn % 2]) for turn in range(1, 8)])
        writer.start()
        while writer.is_alive():
            assert store.fetch("a").read_bytes() in contents
        writer.join()

    def test_its_address_for_other_programs(self, s3_server, tmp_path):
        assert MinioStore(minio_settings(s3_server, "shared"), cache=tmp_path).uri("a/") == "s3://shared/a/"


@pytest.mark.parametrize(("kind", "expected"), [("directory", DirectoryStore), ("minio", MinioStore)])
def test_the_settings_choose_the_store(kind, expected, s3_server, tmp_path):
    settings = Settings(home=tmp_path, store=StoreKind(kind), minio=minio_settings(s3_server, "chosen"))
    store = open_store(settings)
    assert isinstance(store, expected)
    store.put_bytes("a", b"1")
    assert store.fetch("a").is_relative_to(tmp_path)
