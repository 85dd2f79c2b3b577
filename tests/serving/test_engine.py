"""The embedded engine on real processes: predictions, refusals, dead replicas, rollouts, its own death."""

import threading
import time

import httpx
import numpy as np
import psutil
import pytest

from serving.conftest import CLASSES, images
from waiting import wait_for

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def live(engine, graph):
    """A graph of two models that serves, and what its models compute."""
    document, models = graph("live")
    engine.put(document).raise_for_status()
    assert engine.settled("live")["state"] == "Available"
    return models


def test_the_aggregate_is_the_mean_and_every_vote_is_named(engine, live):
    pixels = images(5)
    reply = engine.ask("live", {"data": {"ndarray": pixels.tolist()}, "meta": {"puid": "abc"}})
    assert reply.status_code == 200
    body = reply.json()
    expected = [model(pixels) for model in live]
    np.testing.assert_allclose(body["data"]["ndarray"], np.mean(expected, axis=0), atol=1e-6)
    assert body["data"]["names"] == CLASSES
    assert body["meta"]["puid"] == reply.headers["Seldon-Puid"] == "abc"
    assert set(body["meta"]["requestPath"]) == {"combiner", "slot-1", "slot-2"}
    tags = body["meta"]["tags"]
    assert tags["classes"] == [CLASSES[index] for index in np.mean(expected, axis=0).argmax(axis=1)]
    for vote, version, probabilities in zip(tags["votes"], "12", expected, strict=True):
        assert (vote["version"], vote["run_id"]) == (version, f"run-{version}")
        np.testing.assert_allclose(vote["probabilities"], probabilities, atol=1e-6)
        assert vote["classes"] == [CLASSES[index] for index in probabilities.argmax(axis=1)]


def test_a_tensor_is_answered_with_a_tensor_and_ids_are_made(engine, live):
    pixels = images(2)
    message = {"data": {"tensor": {"shape": [2, 28, 28], "values": pixels.ravel().tolist()}}}
    first, second = engine.ask("live", message), engine.ask("live", message)
    tensor = first.json()["data"]["tensor"]
    assert tensor["shape"] == [2, 3]
    expected = np.mean([model(pixels) for model in live], axis=0)
    np.testing.assert_allclose(np.reshape(tensor["values"], (2, 3)), expected, atol=1e-6)
    assert first.json()["meta"]["puid"] != second.json()["meta"]["puid"]


ROW = [[0] * 28] * 28
BAD_MESSAGES = {
    "wrong shape": {"data": {"ndarray": [[1, 2, 3]]}},
    "a single image without a batch": {"data": {"ndarray": ROW}},
    "no rows": {"data": {"ndarray": []}},
    "fractions": {"data": {"ndarray": [[[0.5] * 28] * 28]}},
    "over 255": {"data": {"ndarray": [[[256] * 28] * 28]}},
    "negative": {"data": {"ndarray": [[[-1] * 28] * 28]}},
    "strings": {"data": {"ndarray": [[["0"] * 28] * 28]}},
    "nulls": {"data": {"ndarray": [[[None] * 28] * 28]}},
    "booleans": {"data": {"ndarray": [[[True] * 28] * 28]}},
    "one boolean among numbers": {"data": {"ndarray": [[[0] * 27 + [True]] * 28]}},
    "numbers past any integer": {"data": {"ndarray": [[[10**30] * 28] * 28]}},
    "lists without end": {"data": {"ndarray": [[0] for _ in range(3)] + [[[[[[0]]]]]]}},
    "ragged rows": {"data": {"ndarray": [[[0] * 28] * 27 + [[0] * 27]]}},
    "objects": {"data": {"ndarray": [{"a": 1}]}},
    "no data": {"meta": {}},
    "data of another kind": {"data": [1, 2]},
    "text instead of data": {"strData": "shoe"},
    "a tensor whose shape lies": {"data": {"tensor": {"shape": [1, 28, 28], "values": [0, 1]}}},
    "a tensor without values": {"data": {"tensor": {"shape": [1, 28, 28]}}},
    "a tensor that is null": {"data": {"tensor": None}},
    "a tensor with a shape in words": {"data": {"tensor": {"shape": "1x28x28", "values": [0] * 784}}},
    "a tensor with one boolean": {"data": {"tensor": {"shape": [1, 28, 28], "values": [0] * 783 + [False]}}},
}


@pytest.mark.parametrize("message", BAD_MESSAGES.values(), ids=BAD_MESSAGES)
def test_a_bad_message_is_refused_in_words_and_hurts_nobody(engine, live, message):
    before = {replica["pid"] for replica in engine.status("live")["replicas"]}
    reply = engine.ask("live", message)
    assert reply.status_code == 400
    assert "expected" in reply.json()["status"]["info"]
    assert engine.ask("live", {"data": {"ndarray": [ROW]}}).status_code == 200
    assert {replica["pid"] for replica in engine.status("live")["replicas"]} == before


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b"[1]", 400, "not a JSON object"),
        (b'{"data": {"ndarray": [[[NaN]]]}}', 400, "not JSON"),
        (b'{"data": {"ndarray": ' + b" " * 2**20 + b"[]}}", 413, "over the limit"),
    ],
)
def test_a_body_that_is_no_message_is_refused(engine, live, body, status, says):
    reply = httpx.post(engine.predictions("live"), content=body, trust_env=False)
    assert reply.status_code == status
    assert says in reply.json()["status"]["info"]
    assert reply.json()["status"]["status"] == "FAILURE"


@pytest.mark.parametrize("meta", [{"puid": "a\r\nSet-Cookie: b"}, {"puid": {"a": 1}}, {"puid": "é"}, {"puid": "x" * 129}, "text"])
def test_an_id_that_cannot_stand_in_a_header_is_refused(engine, live, meta):
    reply = engine.ask("live", {"data": {"ndarray": [ROW]}, "meta": meta})
    assert reply.status_code == 400
    assert reply.json()["status"]["reason"] == "BAD_REQUEST"


def test_an_id_may_come_in_the_header(engine, live):
    reply = engine.ask("live", {"data": {"ndarray": [ROW]}}, headers={"Seldon-Puid": "from-the-header"})
    assert reply.json()["meta"]["puid"] == reply.headers["Seldon-Puid"] == "from-the-header"


def test_a_body_far_over_the_limit_is_refused_and_the_engine_lives(engine, live):
    reply = httpx.post(engine.predictions("live"), content=b" " * 2**24, trust_env=False, timeout=30)
    assert reply.status_code == 413
    assert "limit of 1048576 bytes" in reply.json()["status"]["info"]


@pytest.mark.parametrize("path", ["/seldon/test/live/api/v1.0/feedback", "/nowhere"])
def test_paths_that_are_not_there_are_answered_in_the_caller_s_format(engine, path):
    reply = httpx.post(engine.url + path, json={}, trust_env=False)
    assert reply.status_code == 404
    assert "lists the endpoints" in reply.text


def test_a_document_under_a_path_that_leaves_the_state_folder_is_refused(engine, graph):
    document, _ = graph("escaped")
    del document["metadata"]["namespace"], document["metadata"]["name"]
    reply = httpx.put(engine.resource("..%2F..%2Fescaped"), json=document, trust_env=False)
    assert reply.status_code == 422
    assert "cannot be a name" in reply.json()["detail"]
    assert not list(engine.folder.parent.rglob("escaped.json"))


def test_an_unknown_graph_and_a_bad_document_are_refused(engine, graph):
    assert engine.ask("absent", {"data": {"ndarray": [ROW]}}).status_code == 404
    assert httpx.get(engine.resource("absent"), trust_env=False).status_code == 404
    document, _ = graph("refused")
    document["spec"]["predictors"][0]["graph"]["type"] = "ROUTER"
    reply = engine.put(document)
    assert reply.status_code == 422
    assert "ROUTER" in reply.json()["detail"]


class Load:
    """Callers that ask until they are told to stop; every reply that is no answer is kept."""

    def __init__(self, engine, name, callers=4):
        self._url, self._done = engine.predictions(name), threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(callers)]
        self.answered, self.failures = 0, []

    def _ask(self):
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self._done.is_set():
                try:
                    reply = client.post(self._url, json={"data": {"ndarray": [ROW]}})
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                    continue
                if reply.status_code == 200:
                    self.answered += 1
                else:
                    self.failures.append(reply.text)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join()


def test_one_replica_of_every_node_killed_under_load_loses_no_request(engine, live):
    before = {(each["node"], each["replica"]): each["pid"] for each in engine.status("live")["replicas"]}
    with Load(engine, "live") as load:
        wait_for(lambda: load.answered > 50, 30, "load flows")
        for (_, replica), pid in before.items():
            if replica == 0:
                psutil.Process(pid).kill()

        def recovered():
            now = engine.status("live")["replicas"]
            return all(each["state"] == "ready" for each in now) and sum(each["restarts"] for each in now) == 3

        wait_for(recovered, 60, "the replicas are back")
        answered = load.answered
        wait_for(lambda: load.answered > answered + 50, 30, "load flows on")
    assert load.failures == []
    after = {(each["node"], each["replica"]): each["pid"] for each in engine.status("live")["replicas"]}
    assert all((after[key] == pid) == (key[1] == 1) for key, pid in before.items())


def test_a_new_document_rolls_without_a_failed_request(engine, live, graph):
    former = {each["pid"] for each in engine.status("live")["replicas"]}
    document, models = graph("live", seeds=(3, 4))
    with Load(engine, "live") as load:
        wait_for(lambda: load.answered > 20, 30, "load flows")
        engine.put(document).raise_for_status()
        assert engine.settled("live")["state"] == "Available"
        wait_for(lambda: not any(psutil.pid_exists(pid) for pid in former), 30, "the former replicas are gone")
    assert load.failures == []
    pixels = images(1)
    reply = engine.ask("live", {"data": {"ndarray": pixels.tolist()}}).json()
    np.testing.assert_allclose(reply["data"]["ndarray"], np.mean([model(pixels) for model in models], axis=0), atol=1e-6)


def test_a_model_that_does_not_prove_itself_never_serves_and_the_former_stays(engine, live, graph):
    digest = engine.status("live")["digest"]
    document, _ = graph("live", seeds=(5, 6), replicas=1, golden_error=2e-4)
    engine.put(document).raise_for_status()
    status = engine.settled("live")
    assert status["state"] == "Failed"
    assert "golden batch comes out" in status["description"]
    assert status["digest"] == digest
    assert engine.ask("live", {"data": {"ndarray": [ROW]}}).status_code == 200


def test_the_same_document_changes_nothing(engine, live, graph):
    before = engine.status("live")
    document = httpx.get(engine.resource("live"), trust_env=False).json()
    del document["status"]
    engine.put(document).raise_for_status()
    assert engine.status("live") == before


def test_everything_listens_on_loopback_alone(engine, live):
    listening = [
        connection.laddr.ip
        for process in [psutil.Process(engine.process.pid), *engine.processes()]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) > 6
    assert set(listening) == {"127.0.0.1"}


def test_deleting_a_graph_ends_its_processes(engine, graph):
    document, _ = graph("short", replicas=1)
    engine.put(document).raise_for_status()
    engine.settled("short")
    pids = [replica["pid"] for replica in engine.status("short")["replicas"]]
    httpx.delete(engine.resource("short"), trust_env=False, timeout=30).raise_for_status()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert engine.ask("short", {"data": {"ndarray": [ROW]}}).status_code == 404


def test_a_killed_engine_leaves_no_process_and_comes_back_with_its_graphs(engine, live):
    children = engine.processes()
    assert len(children) > 6
    engine.process.kill()
    engine.process.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    engine.start()
    assert engine.settled("live")["state"] == "Available"
    assert engine.ask("live", {"data": {"ndarray": [ROW]}}).status_code == 200


def test_a_stopped_engine_ends_its_nodes_quickly(engine, live):
    children = engine.processes()
    started = time.monotonic()
    engine.stop()
    assert time.monotonic() - started < 10
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    engine.start()
    assert engine.settled("live")["state"] == "Available"
