"""What the engine and its nodes refuse: in words, with a status of the caller's, and without harm to anybody."""

import httpx
import pytest

from serving.conftest import ROW

pytestmark = pytest.mark.timeout(180)

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
