"""Replicas that hang without ending, and logs that would grow for ever."""

import threading
import time

import psutil
import pytest

from graph_engine import SPACE
from serving.odd_graphs import answering
from waiting import wait_for

pytestmark = pytest.mark.timeout(120)
ANY = {"data": {"ndarray": [[1]]}}


def hang(replica):
    """Stop all of its processes, so that it lives, takes connections, and answers none."""
    main = psutil.Process(replica["pid"])
    for process in (main, *main.children(recursive=True)):
        process.suspend()


def test_a_replica_that_hangs_is_replaced_and_hardly_a_request_is_spent_on_it(engine, run):
    status = run(answering("node"), replicas=2, timeout_ms=2000)
    hanging, other = status["replicas"]
    hang(hanging)
    replies = []

    def replaced():
        replies.append(engine.ask("odd", ANY).status_code)
        return [each["restarts"] for each in engine.status("odd")["replicas"]] == [1, 0]

    wait_for(replaced, 60, "the hanging replica was replaced")
    assert replies.count(504) <= 1
    assert set(replies) <= {200, 504}
    wait_for(lambda: engine.status("odd")["replicas"][0]["state"] == "ready", 30, "its successor is ready")
    after = engine.status("odd")["replicas"]
    assert after[1]["pid"] == other["pid"]
    assert not psutil.pid_exists(hanging["pid"])
    assert "it answered nothing, 3 times in a row" in (engine.folder / "engine.log").read_text()


def test_a_replica_that_only_works_for_long_is_left_alone(engine, run):
    status = run(answering("node", component="Sleeper", answer_after=4.0), timeout_ms=60_000)
    ends = time.monotonic() + 25
    callers = [threading.Thread(target=ask_until, args=(engine, ends)) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    (after,) = engine.status("odd")["replicas"]
    assert (after["pid"], after["restarts"]) == (status["replicas"][0]["pid"], 0)


def ask_until(engine, ends):
    while time.monotonic() < ends:
        assert engine.ask("odd", ANY).status_code == 200


def test_a_log_that_grows_is_set_aside_and_begun_anew(engine, run):
    run(answering("node"))
    log = engine.folder / "logs" / SPACE / "odd" / "node-0.log"
    with log.open("ab") as file:
        for letter in b"ab":
            file.write(bytes([letter]) * (9 << 20))
            file.flush()
            wait_for(lambda: log.stat().st_size < 1 << 20, 20, "the log was begun anew")
    aside = log.with_suffix(".log.1")
    assert aside.read_bytes().endswith(b"b" * 100)
    assert aside.stat().st_size < 10 << 20
    assert engine.ask("odd", ANY).status_code == 200
