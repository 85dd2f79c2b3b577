"""What brings a model to its node: as a command, in the serving environment, from a real S3 server."""

import hashlib
import os
import subprocess
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fakes_promotion import FakeRegistry
from graph_engine import SERVING_PYTHON
from headrace.adapters.minio_store import MinioStore
from headrace.config import MinioSettings
from headrace.serving import fetch
from headrace.usecases import publish
from serving.cutting_proxy import cutting_proxy

pytestmark = pytest.mark.timeout(60)
FILES = {"golden.npz": os.urandom(100_000), "model.json": b'{"model": "m"}', "model.onnx": os.urandom(300_000)}


@pytest.fixture(scope="module")
def published(s3_server, tmp_path_factory):
    """A version that the platform itself has published."""
    registry = FakeRegistry()
    registry.register(model="m", model_uri="", run_id="r", description="", tags={})
    registry.files["m", 1] = FILES
    settings = MinioSettings(endpoint=s3_server, bucket="models-to-fetch", access_key="tester", secret_key="tester-secret")
    store = MinioStore(settings, cache=tmp_path_factory.mktemp("cache"))
    return publish.publish("m", 1, slot=1, registry=registry, store=store)


@pytest.fixture
def run(s3_server, published, tmp_path):
    """Runs the command with the environment of an init container; changes are its variables, in lower case without prefixes."""

    def fetch_model(**changes):
        variables = {
            "HEADRACE_MODEL_URI": published.location,
            "HEADRACE_MODEL_DIGEST": published.digest,
            "HEADRACE_MODEL_FOLDER": str(tmp_path / "models" / "m" / "1"),
            "HEADRACE_MINIO__ENDPOINT": s3_server,
            "HEADRACE_MINIO__ACCESS_KEY": "tester",
            "HEADRACE_MINIO__SECRET_KEY": "tester-secret",
            **changes,
        }
        command = [SERVING_PYTHON, "-m", "headrace.serving.fetch"]
        return subprocess.run(command, check=False, env=variables, capture_output=True, text=True, timeout=50)

    return fetch_model


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "models" / "m" / "1"


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_publishing_and_fetching_agree_on_files_and_digest(published, tmp_path):
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    assert fetch.MODEL_FILES == publish.MODEL_FILES
    assert fetch.digest_of(tmp_path) == published.digest


def test_a_published_model_is_fetched_whole_and_nothing_else_is_left(run, folder):
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert "fetched" in done.stdout
    assert content(folder) == FILES
    assert {path.name for path in folder.parent.iterdir()} == {"1", ".1.lock"}


def test_a_folder_with_the_right_digest_is_left_alone_without_asking_the_store(run, folder):
    run()
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    done = run(HEADRACE_MINIO__ENDPOINT="127.0.0.1:9")
    assert (done.returncode, done.stderr) == (0, "")
    assert "already there" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize("spoil", [lambda file: file.write_bytes(b"other"), Path.unlink], ids=["changed", "missing"])
def test_a_folder_that_holds_something_else_is_replaced(run, folder, spoil):
    run()
    spoil(folder / "model.onnx")
    (folder.parent / ".1.incoming").mkdir()  # and one that was killed in between
    (folder.parent / ".1.incoming" / "model.onnx").write_bytes(b"half")
    assert run().returncode == 0
    assert content(folder) == FILES


def test_several_at_once_fetch_it_once(run, folder):
    with ThreadPoolExecutor() as callers:
        done = [future.result() for future in [callers.submit(run) for _ in range(4)]]
    assert [each.returncode for each in done] == [0] * 4
    assert sum("already there" in each.stdout for each in done) == 3
    assert content(folder) == FILES


def test_a_connection_that_breaks_off_in_the_middle_is_tried_again(run, folder, s3_server):
    with cutting_proxy(s3_server, cuts=4, after=150_000) as proxy:
        done = run(HEADRACE_MINIO__ENDPOINT=proxy.address)
    assert (done.returncode, done.stderr) == (0, "")
    assert proxy.cuts < 0, "it went on after the last cut"
    assert content(folder) == FILES


def test_a_store_that_comes_late_is_waited_for(run, folder, s3_server):
    with cutting_proxy(s3_server, cuts=10**6, after=0) as proxy:
        threading.Timer(3, setattr, args=[proxy, "cuts", 0]).start()
        done = run(HEADRACE_MINIO__ENDPOINT=proxy.address)
    assert done.returncode == 0
    assert content(folder) == FILES


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"HEADRACE_MODEL_URI": ""}, 2, "the variable is not set (at HEADRACE_MODEL_URI)"),
        ({"HEADRACE_MODEL_URI": "models/m/1"}, 2, "no s3://bucket/prefix/"),
        ({"HEADRACE_MODEL_URI": "s3://a..b/m/1/"}, 2, "names no place in a store"),
        ({"HEADRACE_MINIO__ENDPOINT": "http://a/b/c"}, 2, "no address"),
        ({"HEADRACE_MINIO__SECURE": "perhaps"}, 2, "neither true nor false"),
        ({"HEADRACE_MODEL_URI": "s3://models-to-fetch/models/m/9/"}, 1, "NoSuchKey"),
        ({"HEADRACE_MODEL_URI": "s3://absent-bucket/models/m/1/"}, 1, "NoSuchBucket"),
        ({"HEADRACE_MODEL_DIGEST": "0" * 64}, 1, "not those that were published"),
        ({"HEADRACE_MODEL_FOLDER": "/proc/models/m/1"}, 1, "Mount a writable volume"),
    ],
)
def test_what_cannot_be_had_is_told_in_one_line_and_leaves_nothing(run, folder, changes, code, says):
    done = run(**changes)
    assert done.returncode == code
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not folder.exists()
    assert "tester-secret" not in done.stdout + done.stderr


def test_the_only_right_it_needs_is_to_read_what_it_fetches(run, folder, minio, tmp_path_factory):
    settings = MinioSettings(endpoint=minio.endpoint, bucket="guarded", access_key="tester", secret_key="tester-secret")
    store = MinioStore(settings, cache=tmp_path_factory.mktemp("cache"))
    for name, data in FILES.items():
        store.put_bytes(f"models/m/1/{name}", data)
    name = f"reader-{uuid.uuid4().hex[:6]}"
    allowed = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::guarded/models/*"]}
    password = minio.add_user(name, [allowed])
    keys = {"HEADRACE_MINIO__ACCESS_KEY": name, "HEADRACE_MINIO__SECRET_KEY": password, "HEADRACE_MINIO__REGION": "us-east-1"}
    endpoint = {"HEADRACE_MINIO__ENDPOINT": minio.endpoint}
    done = run(**keys, **endpoint, HEADRACE_MODEL_URI="s3://guarded/models/m/1/")
    assert (done.returncode, done.stderr) == (0, "")
    assert content(folder) == FILES
    refused = run(**keys, **endpoint, HEADRACE_MODEL_URI="s3://guarded/datasets/d/", HEADRACE_MODEL_FOLDER=f"{folder}-other")
    assert refused.returncode == 1
    assert "AccessDenied" in refused.stderr


def test_a_wrong_digest_leaves_what_was_there(run, folder):
    run()
    assert run(HEADRACE_MODEL_DIGEST=hashlib.sha256().hexdigest()).returncode == 1
    assert content(folder) == FILES


def test_a_store_that_stays_away_is_given_up_on(monkeypatch, tmp_path):
    monkeypatch.setattr(fetch, "_KEEP_TRYING_SECONDS", 1.0)
    wanted = fetch.Wanted(bucket="bucket", prefix="m/", digest="0" * 64, folder=tmp_path / "m")
    with pytest.raises(fetch.FetchError, match=r"did not give it in 1 s.*127\.0\.0\.1:9/bucket/m/golden\.npz.*store runs"):
        fetch.fetch(wanted, fetch.Store(endpoint="127.0.0.1:9"))
