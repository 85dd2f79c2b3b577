"""The embedded engine on real processes: predictions, refusals, dead replicas, rollouts, its own death."""

import time

import httpx
import numpy as np
import psutil
import pytest

from serving.conftest import CLASSES, ROW, images
from trickle import Trickle
from waiting import wait_for

pytestmark = pytest.mark.timeout(180)


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


def load_on(engine, name):
    """Callers of a graph that never pause."""
    return Trickle(engine.predictions(name), image=ROW, callers=4)


def test_one_replica_of_every_node_killed_under_load_loses_no_request(engine, live):
    before = {(each["node"], each["replica"]): each["pid"] for each in engine.status("live")["replicas"]}
    with load_on(engine, "live") as load:
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


def test_any_process_below_a_replica_may_be_killed_and_no_request_is_lost(engine, live):
    before = {(each["node"], each["replica"]): each["restarts"] for each in engine.status("live")["replicas"]}
    with load_on(engine, "live") as load:
        for position in range(4):
            for node in ("combiner", "slot-1"):
                replica = wait_for(lambda node=node: ready(engine, node), 30, "the former one is back")
                below_replica(replica)[position].kill()
        wait_for(lambda: ready(engine, "combiner") and ready(engine, "slot-1"), 30, "all are back")
        answered = load.answered
        wait_for(lambda: load.answered > answered + 50, 30, "load flows on")
    assert load.failures == []
    after = {(each["node"], each["replica"]): each["restarts"] for each in engine.status("live")["replicas"]}
    assert after == {**before, ("combiner", 0): before["combiner", 0] + 4, ("slot-1", 0): before["slot-1", 0] + 4}


def pids(engine, node):
    """The main processes of a node's replicas."""
    return {each["pid"] for each in engine.status("live")["replicas"] if each["node"] == node}


def ready(engine, node):
    """The node's first replica, once it can be asked."""
    replica = next(each for each in engine.status("live")["replicas"] if (each["node"], each["replica"]) == (node, 0))
    return replica if replica["state"] == "ready" else None


def below_replica(replica):
    """The processes below a replica's main one: the wrapper's manager, metrics server and workers."""
    main = psutil.Process(replica["pid"])
    wait_for(lambda: len(main.children(recursive=True)) == 4, 30, "all of the replica's processes run")
    return main.children(recursive=True)


def test_a_new_document_rolls_without_a_failed_request_and_what_is_the_same_runs_on(engine, live, graph):
    former = {each["pid"] for each in engine.status("live")["replicas"] if each["node"] != "combiner"}
    combiners = pids(engine, "combiner")
    document, models = graph("live", seeds=(3, 4))
    with load_on(engine, "live") as load:
        wait_for(lambda: load.answered > 20, 30, "load flows")
        engine.put(document).raise_for_status()
        status = engine.settled("live")
        assert status["state"] == "Available", status["description"]
        wait_for(lambda: not any(psutil.pid_exists(pid) for pid in former), 30, "the former replicas are gone")
    assert load.failures == []
    assert pids(engine, "combiner") == combiners
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
