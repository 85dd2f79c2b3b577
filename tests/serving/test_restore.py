"""An engine that was killed, on its way back: what it finds in its state folder decides."""

import json

import httpx
import pytest

from graph_engine import SPACE, running_engine
from serving.odd_graphs import TWO_CLASSES, answering, deployment, node

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
