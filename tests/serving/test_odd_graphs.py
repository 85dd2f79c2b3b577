"""What the engine and the combiner make of nodes that are slow, mortal, wrong, or nested."""

import copy
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import psutil
import pytest

from serving.odd_graphs import TWO_CLASSES, answering, mean_of, node
from waiting import wait_for

pytestmark = pytest.mark.timeout(120)
ANY = {"data": {"ndarray": [[1]]}}


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"data": {"names": ["a", "b"], "ndarray": [[0.5, 0.5]] * 2}}, "one shape"),
        ({"data": {"names": ["b", "a"], "ndarray": [[0.5, 0.5]]}}, "name their classes differently"),
        ({"data": {"names": ["a"], "ndarray": [[0.5, 0.5]]}}, "names 1 classes and answers with 2"),
        ({"data": {"ndarray": ["a", "b"]}}, "probabilities of shape [n, classes]"),
        ({"strData": "a"}, "does not answer as a classifier"),
    ],
)
def test_members_that_do_not_belong_together_are_the_graphs_own_error(engine, run, other, says):
    run(mean_of(answering("one"), answering("other", other)))
    reply = engine.ask("odd", ANY)
    assert reply.status_code == 500
    assert reply.json()["status"]["reason"] == "MEMBERS_DISAGREE"
    assert says in reply.json()["status"]["info"]


def test_a_combiner_of_combiners_counts_every_model_s_vote(engine, run):
    named = copy.deepcopy(TWO_CLASSES)
    named["meta"] = {"tags": {"x": {"name": "x", "version": "7"}}, "requestPath": {"one": "odd:1"}}
    unnamed = {"data": {"ndarray": [[1.0, 0.0]]}, "meta": {"requestPath": {"two": "odd:1"}}}
    named["data"].pop("names")
    run(mean_of(mean_of(answering("one", named), answering("two", unnamed), name="inner"), answering("three", unnamed)))
    body = engine.ask("odd", ANY).json()
    np.testing.assert_allclose(body["data"]["ndarray"], [[(0.625 + 1) / 2, 0.375 / 2]])
    votes = body["meta"]["tags"]["votes"]
    assert [(vote["name"], vote.get("version")) for vote in votes] == [("x", "7"), ("two", None), ("two", None)]
    assert [vote["classes"] for vote in votes] == [["t:1"], ["t:0"], ["t:0"]]
    assert set(body["meta"]["requestPath"]) == {"combiner", "inner", "one", "two"}


def test_votes_count_as_much_as_their_weights_in_the_children_s_order(engine, run):
    certain = {"data": {"names": ["a", "b"], "ndarray": [[1.0, 0.0]]}}
    run(mean_of(answering("one"), answering("two", certain), weights="[2.0, 1]"))
    body = engine.ask("odd", ANY).json()
    np.testing.assert_allclose(body["data"]["ndarray"], [[(2 * 0.25 + 1) / 3, 2 * 0.75 / 3]], rtol=1e-15)
    assert body["meta"]["tags"]["classes"] == ["a"]
    assert [vote["probabilities"] for vote in body["meta"]["tags"]["votes"]] == [[[0.25, 0.75]], [[1.0, 0.0]]]


def test_weights_for_other_members_than_there_are_refuse_every_request(engine, run):
    run(mean_of(answering("one"), answering("two"), weights="[1, 2, 3]"))
    reply = engine.ask("odd", ANY)
    assert reply.status_code == 500
    assert "3 weights for 2 members" in reply.json()["status"]["info"]


@pytest.mark.parametrize("weights", ["[1, 0]", "[true, true]", "1"])
def test_what_are_no_weights_keep_the_combiner_from_starting(engine, run, weights):
    status = run(mean_of(answering("one"), answering("two"), weights=weights))
    assert status["state"] == "Failed"


def test_a_transformer_comes_before_its_child(engine, run, graph):
    document, (model, *_) = graph("unused")
    slot = copy.deepcopy(document["spec"]["predictors"][0]["graph"]["children"][0])
    parameters = {each["name"]: each["value"] for each in slot["parameters"]}
    child = node("slot-1", "headrace.serving.onnx_model.OnnxModel", **parameters)
    run(node("blank", "odd_components.Blank", child, kind="TRANSFORMER"))
    reply = engine.ask("odd", ANY)
    np.testing.assert_allclose(reply.json()["data"]["ndarray"], model(np.zeros((1, 28, 28))), atol=1e-6)


def test_a_node_that_takes_too_long_times_out_and_a_new_limit_needs_no_new_process(engine, run):
    slow = answering("slow", component="Sleeper", answer_after=1.0)
    before = run(copy.deepcopy(slow), timeout_ms=200)
    reply = engine.ask("odd", ANY)
    assert (reply.status_code, reply.json()["status"]["reason"]) == (504, "NODE_TIMEOUT")
    assert "did not answer in 0.2 s" in reply.json()["status"]["info"]
    after = run(slow, timeout_ms=20_000)
    assert after["replicas"] == before["replicas"]
    assert engine.ask("odd", ANY).status_code == 200


def test_a_graph_that_is_not_ready_says_so_and_leaves_nothing_when_it_is_deleted(engine, run):
    assert run(answering("slow", component="Sleeper", load_for=60.0), wait=False)["state"] == "Creating"
    reply = engine.ask("odd", ANY)
    assert reply.status_code == 503
    assert reply.headers["Retry-After"] == "1"
    assert reply.json()["status"]["status"] == "FAILURE"
    started = wait_for(lambda: odd_processes(engine), 20, "the node is being started")
    httpx.delete(engine.resource("odd"), trust_env=False, timeout=30).raise_for_status()
    assert psutil.wait_procs(started, timeout=10)[1] == []
    assert odd_processes(engine) == []


def test_the_newest_desire_wins(engine, run):
    run(answering("slow", component="Sleeper", load_for=60.0), wait=False)
    started = wait_for(lambda: odd_processes(engine), 20, "the node is being started")
    assert run(answering("quick"))["state"] == "Available"
    assert psutil.wait_procs(started, timeout=10)[1] == []
    assert engine.ask("odd", ANY).json()["data"] == TWO_CLASSES["data"]


def test_a_component_that_does_not_exist_fails_the_rollout_in_its_own_words(run):
    status = run(node("absent", "odd_components.Absent"))
    assert status["state"] == "Failed"
    assert "it ended with code 1" in status["description"]
    assert "has no attribute 'Absent'" in status["description"]


def test_a_crash_loop_shows_and_slows_down(engine, run):
    run(answering("mortal", component="Mortal", seconds=4.0))
    wait_for(lambda: engine.status("odd")["replicas"][0]["restarts"] >= 2, 60, "it is started again and again")
    assert engine.status("odd")["state"] == "Available"


def test_a_message_that_kills_is_not_passed_round_until_all_are_dead(engine, run):
    before = {each["pid"] for each in run(answering("frail", component="Poisonable"), replicas=3)["replicas"]}
    reply = engine.ask("odd", {**ANY, "poison": True})
    assert reply.status_code == 503
    assert "broke off while it worked on this" in reply.json()["status"]["info"]
    assert len([pid for pid in before if psutil.pid_exists(pid)]) == 1
    assert engine.ask("odd", ANY).status_code == 200
    wait_for(lambda: all(each["state"] == "ready" for each in engine.status("odd")["replicas"]), 60, "all are back")


def test_a_replica_that_fails_inside_is_covered_by_another_one(engine, run, tmp_path):
    run(answering("moody", component="Moody", broken=str(tmp_path / "broken")), replicas=2)
    with ThreadPoolExecutor() as callers:
        replies = [callers.submit(engine.ask, "odd", ANY) for _ in range(20)]
    assert {reply.result().status_code for reply in replies} == {200}
    (tmp_path / "broken").with_suffix(".all").touch()
    reply = engine.ask("odd", ANY)
    assert (reply.status_code, reply.json()["status"]["info"]) == (500, "out of sorts")


def odd_processes(engine):
    """The replicas' main processes whose components are the odd ones."""
    found = []
    for process in psutil.Process(engine.process.pid).children():
        try:
            if process.environ().get("MODEL_NAME", "").startswith("odd_components"):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
