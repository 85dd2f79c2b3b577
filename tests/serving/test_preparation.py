"""Init containers on the engine: run before the nodes, with the engine's environment below theirs, and ended with it."""

import json
from pathlib import Path

import httpx
import psutil
import pytest

from graph_engine import running_engine
from serving.conftest import ROW
from serving.odd_graphs import answering, deployment
from waiting import wait_for

pytestmark = pytest.mark.timeout(120)
ANY = {"data": {"ndarray": [[1]]}}
DUMP = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'a')); open(sys.argv[1], 'a').write('\\n')"


@pytest.fixture
def own_engine(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADRACE_MINIO__SECRET_KEY", "tester-secret")
    monkeypatch.setenv("A", "from-the-engine")
    with running_engine(tmp_path, "--ready-within", "30") as engine:
        yield engine


def prepared(*init_containers, name="odd", replicas=1):
    document = deployment(name, answering("node"), replicas=replicas)
    document["spec"]["predictors"][0]["componentSpecs"][0]["spec"]["initContainers"] = list(init_containers)
    return document


def dump(path, **fields):
    return {"name": "dump", "command": ["python", "-c", DUMP, str(path)], **fields}


def test_they_run_once_a_generation_before_the_replicas_and_again_only_for_another_document(own_engine, tmp_path):
    variables = tmp_path / "variables"
    keys = [{"name": "HEADRACE_MINIO__SECRET_KEY", "valueFrom": {"secretKeyRef": {"name": "store", "key": "key"}}}]
    document = prepared(dump(variables, env=[{"name": "A", "value": "from-the-document"}, *keys]), replicas=2)
    own_engine.put(document).raise_for_status()
    assert own_engine.settled("odd")["state"] == "Available"
    own_engine.put(document).raise_for_status()
    (found,) = map(json.loads, variables.read_text().splitlines())
    assert (found["A"], found["HEADRACE_MINIO__SECRET_KEY"]) == ("from-the-document", "tester-secret")
    nodes = [psutil.Process(replica["pid"]).environ() for replica in own_engine.status("odd")["replicas"]]
    assert [node.get("HEADRACE_MINIO__SECRET_KEY") for node in nodes] == [None, None]
    own_engine.put(prepared(dump(variables))).raise_for_status()
    wait_for(lambda: len(variables.read_text().splitlines()) == 2, 30, "the other document's ran")


def test_one_after_the_other_and_none_after_a_failure(own_engine, tmp_path):
    first, last = dump(tmp_path / "first"), dump(tmp_path / "last")
    broken = {"name": "broken", "command": ["python", "-c", "import sys; sys.exit('no such model')"]}
    own_engine.put(prepared(first, broken, last)).raise_for_status()
    status = own_engine.settled("odd")
    assert status["state"] == "Failed"
    assert "init container broken of node failed: it ended with code 1" in status["description"]
    assert "no such model" in status["description"]
    assert (tmp_path / "first").exists()
    assert not (tmp_path / "last").exists()
    assert own_engine.processes() == []


@pytest.mark.parametrize(
    ("container", "says"),
    [
        ({"name": "absent", "command": ["no-such-command"]}, "no-such-command cannot be run"),
        ({"name": "slow", "command": ["sleep", "300"]}, "it did not end within 30 s"),
        (
            {"name": "keyless", "command": ["true"], "env": [{"name": "B", "valueFrom": {"secretKeyRef": {}}}]},
            "its own environment lacks B",
        ),
    ],
)
def test_a_failure_names_the_container_and_leaves_the_former_graph_and_no_process(own_engine, container, says):
    own_engine.put(prepared()).raise_for_status()
    before = own_engine.settled("odd")
    assert before["state"] == "Available", before["description"]
    children = {process.pid for process in own_engine.processes()}
    own_engine.put(prepared(container)).raise_for_status()
    status = own_engine.settled("odd")
    assert (status["state"], status["digest"]) == ("Failed", before["digest"])
    assert f"init container {container['name']} of node" in status["description"]
    assert says in status["description"]
    assert own_engine.ask("odd", ANY).status_code == 200
    assert {process.pid for process in own_engine.processes()} == children


def test_they_end_with_a_document_that_is_deleted_and_with_an_engine_that_is_killed(own_engine):
    slow = {"name": "slow", "command": ["sleep", "60"]}
    for end in (lambda: httpx.delete(own_engine.resource("odd"), trust_env=False), own_engine.process.kill):
        own_engine.put(prepared(slow)).raise_for_status()
        running = wait_for(lambda: sleeping(own_engine), 10, "it runs")
        end()
        assert psutil.wait_procs(running, timeout=10)[1] == []


def sleeping(engine):
    return [process for process in engine.processes() if process.name() == "sleep"]


def test_a_model_is_fetched_from_the_store_before_its_node_starts(own_engine, graph, s3_server, tmp_path):
    document, (model,) = graph("fetched", seeds=(1,), replicas=1)
    document = from_the_store(document, s3_server, tmp_path / "models")
    own_engine.put(document).raise_for_status()
    status = own_engine.settled("fetched")
    assert status["state"] == "Available", status["description"]
    reply = own_engine.ask("fetched", {"data": {"ndarray": [ROW]}})
    assert reply.json()["data"]["ndarray"][0] == pytest.approx(list(model([ROW])[0]), abs=1e-6)


def from_the_store(document, s3_server, folder):
    """The same graph with its one model published to a store, and fetched from there."""
    from headrace.adapters.minio_store import MinioStore
    from headrace.config import MinioSettings
    from headrace.serving.fetch import MODEL_FILES, digest_of

    predictor = document["spec"]["predictors"][0]
    parameters = {each["name"]: each for each in predictor["graph"]["children"][0]["parameters"]}
    local = Path(parameters["model_path"]["value"])
    settings = MinioSettings(endpoint=s3_server, bucket="prepared", access_key="tester", secret_key="tester-secret")
    store = MinioStore(settings, cache=folder / "cache")
    for name in MODEL_FILES:
        store.put_file(f"models/m/1/{name}", local / name)
    parameters["model_path"]["value"] = str(folder / "m" / "1")
    variables = {
        "HEADRACE_MODEL_URI": "s3://prepared/models/m/1/",
        "HEADRACE_MODEL_DIGEST": digest_of(local),
        "HEADRACE_MODEL_FOLDER": str(folder / "m" / "1"),
        "HEADRACE_MINIO__ENDPOINT": s3_server,
        "HEADRACE_MINIO__ACCESS_KEY": "tester",
    }
    predictor["componentSpecs"][1]["spec"]["initContainers"] = [
        {
            "name": "fetch-model",
            "image": "headrace/serving:0.1.0",
            "command": ["python", "-m", "headrace.serving.fetch"],
            "env": [{"name": key, "value": value} for key, value in variables.items()],
            "envFrom": [{"secretRef": {"name": "headrace-serving"}}],
        }
    ]
    return document
