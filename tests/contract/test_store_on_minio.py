"""The store on a real MinIO that crashes in the middle of transfers, and with users of few rights."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import yaml

from builders import pipeline
from cluster.programs import find_program
from headrace.adapters.minio_store import MinioStore
from headrace.config import MinioSettings
from headrace.errors import UnavailableError
from idx_files import NAMES, dataset_spec, raw_content, write_raw
from minio_server import minio_server
from serving.cutting_proxy import cutting_proxy
from waiting import wait_for

LARGE_BYTES = 128 << 20
AWAY_SECONDS = 10
SLOW_BYTES_PER_SECOND = 4 << 20


@pytest.fixture
def server():
    """A server of its own: it is killed."""
    if (binary := find_program("minio")) is None:
        pytest.skip("no MinIO on this machine: `make cluster-up` builds one")
    with minio_server(binary) as server:
        yield server


@pytest.fixture
def slow(server):
    """A slow way to the server: a transfer of the large file takes far longer than a test needs to notice it and to kill."""
    with cutting_proxy(server.endpoint, pace=SLOW_BYTES_PER_SECOND) as proxy:
        yield proxy


def open_store(server, folder, *, through=None, **options):
    endpoint = through.address if through else server.endpoint
    settings = MinioSettings(endpoint=endpoint, bucket="headrace", access_key=server.access_key, secret_key=server.secret_key)
    return MinioStore(settings, cache=folder / "cache", **options)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "large.bin"
    path.write_bytes(os.urandom(LARGE_BYTES))
    return path


@pytest.fixture
def background():
    with ThreadPoolExecutor(1) as thread:
        yield thread


class TestCrashes:
    def test_an_upload_outlives_the_servers_crash(self, server, slow, tmp_path, large, background):
        store = open_store(server, tmp_path, through=slow)
        store.put_bytes("large", b"former")
        upload = background.submit(store.put_file, "large", large)
        wait_for(server.unfinished_uploads, 20, "the upload is under way")
        kill(server, slow)
        assert not upload.done()
        time.sleep(AWAY_SECONDS)
        server.start()
        assert store.get_bytes("large") in (b"former", large.read_bytes()), "no half object is visible"
        stored = upload.result(120)
        assert list(store.list("")) == [stored]
        assert open_store(server, tmp_path / "elsewhere").fetch("large").read_bytes() == large.read_bytes()
        assert server.unfinished_uploads() == []

    def test_a_download_outlives_the_servers_crash(self, server, slow, tmp_path, large, background):
        open_store(server, tmp_path).put_file("large", large)
        store = open_store(server, tmp_path, through=slow)
        download = background.submit(store.fetch, "large")
        wait_for(lambda: blocks_written(tmp_path) > LARGE_BYTES // 16, 20, "the download is under way")
        kill(server, slow)
        assert not download.done()
        time.sleep(AWAY_SECONDS)
        server.start()
        assert download.result(120).read_bytes() == large.read_bytes()

    def test_reading_and_listing_wait_for_a_server_that_restarts(self, server, tmp_path, background):
        store = open_store(server, tmp_path)
        store.put_bytes("a/b", b"content")
        server.kill()
        listing = background.submit(lambda: [found.key for found in store.list("a/")])
        time.sleep(2)
        server.start()
        assert listing.result(60) == ["a/b"]
        assert store.get_bytes("a/b") == b"content"

    def test_an_upload_that_fails_for_good_leaves_the_former_object(self, server, slow, tmp_path, large, background):
        store = open_store(server, tmp_path, through=slow, patience=2)
        store.put_bytes("large", b"former")
        upload = background.submit(store.put_file, "large", large)
        wait_for(server.unfinished_uploads, 20, "the upload is under way")
        kill(server, slow)
        with pytest.raises(UnavailableError, match="does not answer"):
            upload.result(30)
        server.start()
        assert store.get_bytes("large") == b"former"
        assert [found.key for found in store.list("")] == ["large"]


def kill(server, slow):
    """Kill the server; once it is back, the way to it is quick."""
    server.kill()
    slow.pace = None


def blocks_written(folder):
    """Bytes of the files below a folder that have been written: a download's file has its whole size from the start."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


READ = ["s3:GetObject", "s3:ListBucket"]
WRITE = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]


class TestRights:
    """What the store's docstring says it takes."""

    def as_user(self, minio, tmp_path, name, actions):
        statement = {"Effect": "Allow", "Action": actions, "Resource": ["arn:aws:s3:::given", "arn:aws:s3:::given/*"]}
        password = minio.add_user(name, [statement])
        settings = MinioSettings(endpoint=minio.endpoint, bucket="given", access_key=name, secret_key=password)
        return MinioStore(settings, cache=tmp_path / name, patience=2)

    @pytest.fixture(autouse=True)
    def bucket(self, minio, tmp_path):
        settings = MinioSettings(
            endpoint=minio.endpoint, bucket="given", access_key=minio.access_key, secret_key=minio.secret_key
        )
        MinioStore(settings, cache=tmp_path).put_bytes("given", b"content")

    def test_a_reader_reads_and_cannot_write(self, minio, tmp_path):
        store = self.as_user(minio, tmp_path, "reader", READ)
        assert store.get_bytes("given") == store.fetch("given").read_bytes() == b"content"
        assert "given" in [found.key for found in store.list("")]
        for write in (lambda: store.put_bytes("given", b""), lambda: store.delete("given")):
            with pytest.raises(UnavailableError, match="refused: AccessDenied"):
                write()

    def test_a_writer_needs_no_right_to_make_buckets(self, minio, tmp_path, large):
        store = self.as_user(minio, tmp_path, "writer", READ + WRITE)
        store.put_bytes("a", b"1")
        store.put_file("large", large)
        assert store.fetch("large").stat().st_size == LARGE_BYTES
        for key in ("a", "large"):
            store.delete(key)

    def test_a_bucket_that_is_absent_and_may_not_be_made(self, minio, tmp_path):
        password = minio.add_user("stranger", [{"Effect": "Allow", "Action": WRITE, "Resource": ["arn:aws:s3:::*"]}])
        settings = MinioSettings(endpoint=minio.endpoint, bucket="absent", access_key="stranger", secret_key=password)
        with pytest.raises(UnavailableError, match=r"refused: AccessDenied.*absent"):
            MinioStore(settings, cache=tmp_path, patience=2).put_bytes("a", b"")

    def test_wrong_keys(self, minio, tmp_path):
        settings = MinioSettings(endpoint=minio.endpoint, bucket="given", access_key="nobody", secret_key="wrong-password")
        with pytest.raises(UnavailableError, match="refused: InvalidAccessKeyId"):
            MinioStore(settings, cache=tmp_path, patience=2).get_bytes("given")


def test_raw_files_are_mirrored_by_a_command_that_needs_the_store_alone(minio, tmp_path):
    """As an operator runs it against a cluster's store: no stack, no database, settings from the environment."""
    write_raw(tmp_path / "dags" / "raw", content := raw_content())
    spec = pipeline(name="shoes", dataset=dataset_spec(content, name="mirrored-shoes")).model_dump(
        mode="json", exclude={"folder"}
    )
    (tmp_path / "dags" / "shoes.yaml").write_text(yaml.safe_dump(spec))
    environment = {
        "HEADRACE_HOME": str(tmp_path / "home"),
        "HEADRACE_PROJECT": str(tmp_path),
        "HEADRACE_STORE": "minio",
        "HEADRACE_MINIO__ENDPOINT": minio.endpoint,
        "HEADRACE_MINIO__ACCESS_KEY": minio.access_key,
        "HEADRACE_MINIO__SECRET_KEY": minio.secret_key,
    }
    command = [Path(sys.executable).parent / "headrace", "mirror", "shoes"]
    for said in ("4 files mirrored at", "4 files are mirrored already at"):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == f"mirrored-shoes: {said} s3://headrace/sources/mirrored-shoes/\n"
    found = [each.object_name for each in minio.client().list_objects("headrace", "sources/mirrored-shoes/")]
    assert found == sorted(f"sources/mirrored-shoes/{name}" for name in ("manifest.json", *NAMES.values()))


def test_memory_of_a_large_transfer_is_bounded(minio, tmp_path, large):
    """Some parts of 8 MiB at a time, whatever the object's size."""
    before, peak, done = resident_bytes(), [0], threading.Event()

    def watch():
        while not done.wait(0.02):
            peak[0] = max(peak[0], resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    store = open_store(minio, tmp_path)
    store.put_file("large", large)
    store.fetch("large")
    done.set()
    watcher.join()
    assert peak[0] - before < LARGE_BYTES / 2


def resident_bytes():
    return psutil.Process().memory_info().rss
