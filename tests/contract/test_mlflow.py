"""Tracking and registry: one contract, on the fakes and on a real MLflow server; artifacts that go through it to MinIO."""

import asyncio
import os
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest

from fakes_promotion import FakeRegistry
from fakes_training import FakeRunEnding, FakeTracking
from free_ports import free_ports
from headrace.errors import NotFoundError, UnavailableError
from waiting import wait_for

READY_WITHIN_SECONDS = 90


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory):
    """A real MLflow server that keeps artifacts in a folder."""
    folder = tmp_path_factory.mktemp("mlflow")
    with mlflow_server(folder, artifacts=str(folder / "artifacts")) as url:
        yield url


@pytest.fixture(scope="session")
def mlflow_on_minio_url(tmp_path_factory, minio):
    """A real MLflow server that keeps artifacts on a real MinIO, as a user who may use one bucket; its callers know no keys."""
    minio.client().make_bucket("mlflow")
    rights = ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = ["arn:aws:s3:::mlflow", "arn:aws:s3:::mlflow/*"]
    password = minio.add_user("mlflow", [{"Effect": "Allow", "Action": rights, "Resource": resources}])
    environment = {
        "MLFLOW_S3_ENDPOINT_URL": f"http://{minio.endpoint}",
        "AWS_ACCESS_KEY_ID": "mlflow",
        "AWS_SECRET_ACCESS_KEY": password,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with mlflow_server(tmp_path_factory.mktemp("mlflow"), artifacts="s3://mlflow", **environment) as url:
        yield url


@contextmanager
def mlflow_server(folder, *, artifacts, **variables):
    """Run a server on a free port over SQLite."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", artifacts]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"} | variables
    with (folder / "server.log").open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _healthy(url, server, folder / "server.log"), READY_WITHIN_SECONDS, "MLflow is ready")
        yield url
    finally:
        os.killpg(server.pid, 15)
        server.wait(20)


def _healthy(url, server, log):
    assert server.poll() is None, log.read_text()
    try:
        return httpx.get(f"{url}/health", trust_env=False).is_success
    except httpx.HTTPError:
        return False


class MlflowWorld:
    """The real server's tracking and registry, and a way to log a model."""

    def __init__(self, url):
        from mlflow.tracking import MlflowClient

        from headrace.adapters.mlflow.registry import MlflowRegistry
        from headrace.adapters.mlflow.run_ending import MlflowRunEnding
        from headrace.adapters.mlflow.tracking import MlflowTracking
        from headrace.adapters.mlflow.watch import MlflowWatch

        self.client = MlflowClient(tracking_uri=url, registry_uri=url)
        self.tracking, self.registry = MlflowTracking(url), MlflowRegistry(url)
        self.run_ending, self.watched = MlflowRunEnding(url), MlflowWatch(url)

    def run_state(self, run_id):
        return self.client.get_run(run_id).info.status

    def failure(self, run_id):
        return self.client.get_run(run_id).data.tags.get("headrace.failure")

    def note(self, run_id):
        from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

        return self.client.get_run(run_id).data.tags[MLFLOW_RUN_NOTE]

    def delete_version(self, model, version):
        self.client.delete_model_version(model, str(version))

    def page(self, run_id, path, folder):
        from pathlib import Path

        return Path(self.client.download_artifacts(run_id, path, str(folder))).read_text()

    def logged_model(self, run_id, folder):
        run = self.client.get_run(run_id)
        model = self.client.create_logged_model(run.info.experiment_id, name="model", source_run_id=run_id)
        (folder / "model.json").write_text("{}")
        self.client.log_model_artifacts(model.model_id, str(folder))
        self.client.finalize_logged_model(model.model_id, "READY")
        return f"models:/{model.model_id}"


class FakeWorld:
    """The fakes behind the same handful of questions."""

    def __init__(self):
        self.tracking, self.registry = FakeTracking(), FakeRegistry()
        self.run_ending, self.watched = FakeRunEnding(self.tracking), self.registry

    def run_state(self, run_id):
        return self.tracking.runs[run_id].state

    def failure(self, run_id):
        return self.tracking.runs[run_id].failure

    def note(self, run_id):
        return self.failure(run_id)

    def delete_version(self, model, version):
        self.registry.delete_version(model, version)

    def page(self, run_id, path, folder):
        del folder
        return self.tracking.runs[run_id].pages[path]

    def logged_model(self, run_id, folder):
        del folder
        for version in range(1, 4):
            self.registry.files["m", version] = {"model.json": b"{}"}
        return f"models:/m-{run_id}"


@pytest.fixture(params=["fake", "mlflow"])
def world(request):
    return FakeWorld() if request.param == "fake" else MlflowWorld(request.getfixturevalue("mlflow_url"))


@pytest.fixture
def name(request, world):
    """A name no other test uses."""
    return f"{request.node.name.split('[')[0].replace('_', '-')}"


def test_a_key_stands_for_one_run_and_a_retry_reopens_it(world, name):
    first = world.tracking.open_run(experiment=name, name="cnn", key=f"{name}/1/cnn", tags={"a": "b"})
    assert world.run_state(first) == "RUNNING"
    world.tracking.fail_run(first, "worker 1 was killed by SIGKILL")
    assert world.run_state(first) == "FAILED"
    assert "SIGKILL" in world.failure(first)
    assert world.tracking.open_run(experiment=name, name="cnn", key=f"{name}/1/cnn", tags={}) == first
    assert world.run_state(first) == "RUNNING"
    assert world.failure(first) is None
    world.tracking.finish_run(first)
    assert world.run_state(first) == "FINISHED"
    assert world.tracking.open_run(experiment=name, name="cnn", key=f"{name}/2/cnn", tags={}) != first


def test_a_run_is_ended_without_the_client_library_as_it_is_with_it(world, name):
    first, second = (world.tracking.open_run(experiment=name, name="cnn", key=f"{name}/{n}", tags={}) for n in (1, 2))
    world.tracking.fail_run(first, "stopped")
    asyncio.run(world.run_ending.fail_run(second, "stopped"))
    assert world.run_state(second) == "FAILED"
    assert (world.failure(second), world.note(second)) == (world.failure(first), world.note(first))
    assert world.note(second)


def test_a_run_registers_once(world, name, tmp_path):
    run_id = world.tracking.open_run(experiment=name, name="cnn", key=f"{name}/1/cnn", tags={})
    uri = world.logged_model(run_id, tmp_path)
    registered = world.registry.register(model="m", model_uri=uri, run_id=run_id, description="d", tags={"member": "cnn"})
    again = world.registry.register(model="m", model_uri=uri, run_id=run_id, description="d", tags={"member": "cnn"})
    assert again == registered
    assert registered.run_id == run_id
    assert registered.tags["member"] == "cnn"
    assert world.registry.version("m", registered.version) == registered
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    assert (world.registry.download(registered, downloads) / "model.json").read_text() == "{}"


def test_aliases_move_and_go(world, name, tmp_path):
    versions = []
    for number in (1, 2):
        run_id = world.tracking.open_run(experiment=name, name="cnn", key=f"{name}/{number}", tags={})
        uri = world.logged_model(run_id, tmp_path)
        versions.append(world.registry.register(model=name, model_uri=uri, run_id=run_id, description="", tags={}).version)
    world.registry.set_alias(name, "slot-1", versions[0])
    world.registry.set_alias(name, "slot-2", versions[1])
    world.registry.set_alias(name, "slot-1", versions[1])
    assert world.registry.aliases(name) == {"slot-1": versions[1], "slot-2": versions[1]}
    world.registry.delete_alias(name, "slot-2")
    world.registry.delete_alias(name, "slot-2")
    assert world.registry.aliases(name) == {"slot-1": versions[1]}


def test_a_version_that_a_person_deletes_takes_its_aliases_along_and_its_number_is_not_given_again(world, name, tmp_path):
    registered = []
    for number in (1, 2, 3):
        if number == 3:
            world.delete_version(name, 2)
        run_id = world.tracking.open_run(experiment=name, name="cnn", key=f"{name}/{number}", tags={})
        uri = world.logged_model(run_id, tmp_path)
        registered.append(world.registry.register(model=name, model_uri=uri, run_id=run_id, description="", tags={}).version)
        world.registry.set_alias(name, f"slot-{number}", number)
    assert registered == [1, 2, 3]
    assert world.registry.aliases(name) == {"slot-1": 1, "slot-3": 3}
    with pytest.raises(NotFoundError):
        world.registry.version(name, 2)
    with pytest.raises(NotFoundError):
        world.registry.set_alias(name, "slot-2", 2)
    world.registry.delete_alias(name, "slot-2")


def test_aliases_are_watched_without_the_client_library_as_they_are_read_with_it(world, name, tmp_path):
    assert world.watched.aliases(name) == world.registry.aliases(name) == {}
    run_id = world.tracking.open_run(experiment=name, name="cnn", key=f"{name}/1", tags={})
    uri = world.logged_model(run_id, tmp_path)
    version = world.registry.register(model=name, model_uri=uri, run_id=run_id, description="", tags={}).version
    assert world.watched.aliases(name) == world.registry.aliases(name) == {}
    for alias in ("slot-1", "champion"):
        world.registry.set_alias(name, alias, version)
    assert world.watched.aliases(name) == world.registry.aliases(name) == {"slot-1": version, "champion": version}


def test_tags_are_watched_as_they_are_read(world, name, tmp_path):
    run_id = world.tracking.open_run(experiment=name, name="cnn", key=name, tags={})
    uri = world.logged_model(run_id, tmp_path)
    version = world.registry.register(model=name, model_uri=uri, run_id=run_id, description="", tags={}).version
    assert world.watched.tags(name, version) == {}
    world.registry.set_tag(name, version, "headrace.approval", "approved")
    world.registry.set_tag(name, version, "empty", "")
    assert world.watched.tags(name, version) == {"headrace.approval": "approved", "empty": ""}
    with pytest.raises(NotFoundError):
        world.watched.tags(name, version + 1)
    with pytest.raises(NotFoundError):
        world.watched.tags(f"{name}-absent", 1)


def test_aliases_of_a_server_that_is_away_are_unavailable():
    from headrace.adapters.mlflow.watch import MlflowWatch

    (port,) = free_ports(1)
    with pytest.raises(UnavailableError, match="aliases of model m cannot be read"):
        MlflowWatch(f"http://127.0.0.1:{port}").aliases("m")


def test_a_version_is_described_and_tagged_and_a_tag_goes(world, name, tmp_path):
    run_id = world.tracking.open_run(experiment=name, name="cnn", key=name, tags={})
    uri = world.logged_model(run_id, tmp_path)
    version = world.registry.register(model=name, model_uri=uri, run_id=run_id, description="first", tags={"a": "1"}).version
    assert world.registry.version(name, version).description == "first"
    world.registry.describe(name, version, "**second**")
    world.registry.set_tag(name, version, "headrace.gate.slice_drop", "0.31 (at most 0.2) FAILED")
    world.registry.set_tag(name, version, "headrace.gate", "passed")
    world.registry.set_tag(name, version, "headrace.gate", "failed")
    world.registry.delete_tag(name, version, "a")
    world.registry.delete_tag(name, version, "a")
    found = world.registry.version(name, version)
    assert found.description == "**second**"
    assert found.tags == {"headrace.gate.slice_drop": "0.31 (at most 0.2) FAILED", "headrace.gate": "failed"}


def test_a_page_is_kept_with_its_run_and_replaced(world, name, tmp_path):
    run_id = world.tracking.open_run(experiment=name, name="cnn", key=name, tags={})
    world.tracking.log_page(run_id, "gate/m-1.html", "<p>first</p>")
    link = world.tracking.log_page(run_id, "gate/m-1.html", "<p>größer ≥</p>")
    assert world.page(run_id, "gate/m-1.html", tmp_path) == "<p>größer ≥</p>"
    assert link.startswith("#/")
    assert link.endswith(f"/runs/{run_id}/artifacts/gate/m-1.html")


def test_artifacts_go_through_the_server_to_minio(mlflow_on_minio_url, minio, tmp_path):
    """The caller has no S3 client's settings: the server is the only one who knows the keys."""
    world = MlflowWorld(mlflow_on_minio_url)
    run_id = world.tracking.open_run(experiment="proxied", name="cnn", key="proxied/1/cnn", tags={})
    (tmp_path / "model.onnx").write_bytes(content := os.urandom(20_000_000))
    registered = world.registry.register(
        model="proxied", model_uri=world.logged_model(run_id, tmp_path), run_id=run_id, description="", tags={}
    )
    stored = {each.object_name: each.size for each in minio.client().list_objects("mlflow", recursive=True)}
    assert [size for key, size in stored.items() if key.endswith("/model.onnx")] == [len(content)]
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    assert (world.registry.download(registered, downloads) / "model.onnx").read_bytes() == content


def test_what_is_not_there_is_said(world, name):
    assert world.registry.aliases(f"{name}-absent") == {}
    with pytest.raises(NotFoundError):
        world.registry.version(f"{name}-absent", 1)
    with pytest.raises(NotFoundError):
        world.registry.set_alias(f"{name}-absent", "slot-1", 1)
    for change in (
        lambda: world.registry.set_tag(f"{name}-absent", 1, "a", "b"),
        lambda: world.registry.delete_tag(f"{name}-absent", 1, "a"),
        lambda: world.registry.describe(f"{name}-absent", 1, "text"),
    ):
        with pytest.raises(NotFoundError):
            change()


def test_a_server_that_does_not_answer_is_unavailable(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    from headrace.adapters.mlflow.registry import MlflowRegistry

    with pytest.raises(UnavailableError):
        MlflowRegistry("http://127.0.0.1:9").version("m", 1)
