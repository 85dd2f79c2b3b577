"""How an engine ends, and how one that was killed comes back: what it finds in its state folder decides."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from graph_engine import SPACE, running_engine
from serving.odd_graphs import TWO_CLASSES, answering, deployment, node
from waiting import wait_for

pytestmark = pytest.mark.timeout(120)
ANY = {"data": {"ndarray": [[1]]}}


@pytest.fixture
def own_engine(tmp_path):
    with running_engine(tmp_path) as engine:
        yield engine


def test_what_served_before_a_failed_rollout_serves_again_and_the_failure_is_told_again(own_engine):
    own_engine.put(deployment("kept", answering("good"))).raise_for_status()
    live = own_engine.settled("kept")["digest"]
    own_engine.put(deployment("kept", node("bad", "odd_components.Absent"))).raise_for_status()
    failed = own_engine.settled("kept")
    assert (failed["state"], failed["digest"]) == ("Failed", live)

    own_engine.process.kill()
    own_engine.process.wait()
    own_engine.start()

    status = own_engine.settled("kept")
    assert status["state"] == "Failed"
    assert (status["digest"], status["desiredDigest"]) == (live, failed["desiredDigest"])
    assert own_engine.ask("kept", ANY).json()["data"] == TWO_CLASSES["data"]


def test_a_crash_while_restoring_forgets_neither_what_is_desired_nor_what_was_live(own_engine):
    own_engine.put(deployment("kept", answering("good", component="Sleeper", load_for=3.0))).raise_for_status()
    own_engine.settled("kept")
    own_engine.put(deployment("kept", node("bad", "odd_components.Absent"))).raise_for_status()
    own_engine.settled("kept")
    state = own_engine.folder / "state" / SPACE / "kept.json"
    before = json.loads(state.read_text())
    for _ in range(2):
        own_engine.process.kill()
        own_engine.process.wait()
        own_engine.start()
        assert own_engine.status("kept")["digest"] is None, "the engine answers while it restores"
        assert json.loads(state.read_text()) == before


def test_a_file_that_cannot_be_read_hinders_no_other_graph(own_engine):
    own_engine.put(deployment("kept", answering("good"))).raise_for_status()
    own_engine.settled("kept")
    own_engine.process.kill()
    own_engine.process.wait()
    (own_engine.folder / "state" / SPACE / "broken.json").write_text('{"desired": ')
    own_engine.start()
    assert own_engine.settled("kept")["state"] == "Available"
    assert httpx.get(own_engine.resource("broken"), trust_env=False).status_code == 404
    assert "broken.json cannot be restored" in (own_engine.folder / "engine.log").read_text()


def test_a_stopped_engine_answers_first_what_it_was_asked(own_engine):
    own_engine.put(deployment("slow", answering("slow", component="Sleeper", answer_after=1.5))).raise_for_status()
    (replica,) = own_engine.settled("slow")["replicas"]
    with ThreadPoolExecutor() as caller:
        reply = caller.submit(own_engine.ask, "slow", ANY)
        wait_for(lambda: connected(replica), 10, "the node is being asked")
        own_engine.stop()
    assert reply.result().json()["data"] == TWO_CLASSES["data"]
    assert own_engine.process.returncode == 0


def connected(replica):
    """Whether somebody is being answered by the replica."""
    tree = [psutil.Process(replica["pid"]), *psutil.Process(replica["pid"]).children(recursive=True)]
    connections = [connection for process in tree for connection in process.net_connections("tcp")]
    return any(each.laddr.port == replica["port"] and each.status == psutil.CONN_ESTABLISHED for each in connections)


def test_a_node_that_takes_too_long_to_start_fails_the_rollout_and_is_ended(tmp_path):
    with running_engine(tmp_path, "--ready-within", "1") as engine:
        engine.put(deployment("slow", answering("slow", component="Sleeper", load_for=60.0))).raise_for_status()
        status = engine.settled("slow")
        assert status["state"] == "Failed"
        assert "not ready within 1 s" in status["description"]
        assert engine.processes() == []
