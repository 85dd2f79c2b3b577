"""Parts under a real supervisord: started in order, restarted, given up, stopped. Small commands stand in for the servers."""

import sys
import tempfile
import threading
from pathlib import Path

import psutil
import pytest

from headrace.errors import StackError
from headrace.stack.lock import exclusive
from headrace.stack.part import Assembly, Part, Setup
from headrace.stack.remnants import end, marked, stack_id
from headrace.stack.starter import Starter
from headrace.stack.stopper import stop_parts
from headrace.stack.supervisor import Supervisor
from headrace.stack.supervisord_config import Layout, render
from waiting import wait_for

SLEEP = "import time; time.sleep(60)"
FAMILY = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True).wait()"


def part(name, code=SLEEP, **more):
    settings = {
        "command": (sys.executable, "-c", code),
        "ready": lambda since: None,
        "stop_seconds": 1,
        "settle_seconds": 1,
        **more,
    }
    return Part(name=name, version=lambda: "1", **settings)


@pytest.fixture
def supervised():
    """Yields a function that starts a supervisor for an assembly."""
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        layout, mark = Layout(Path(folder)), stack_id(Path(folder))
        for each in (layout.run, layout.logs):
            each.mkdir()
        supervisor = Supervisor(layout)

        def _start(assembly):
            supervisor.start(render(assembly.parts, layout=layout, stack=mark, as_root=False), {})
            return supervisor, layout, mark

        yield _start
        supervisor.shut_down()
        end(marked(mark), grace_seconds=0)


def test_each_part_starts_after_what_it_needs(supervised):
    order = []
    assembly = Assembly(
        (part("server", needs=("schema",)), part("database")),
        (Setup(name="schema", title="schema", run=lambda: order.append("schema ran"), needs=("database",)),),
    )
    supervisor, layout, _ = supervised(assembly)
    Starter(assembly, supervisor, layout, lambda progress: order.append((progress.name, progress.done))).run()
    begun_and_done = [("database", False), ("database", True), ("schema", False), "schema ran", ("schema", True)]
    assert order == [*begun_and_done, ("server", False), ("server", True)]


def test_independent_parts_start_side_by_side(supervised):
    both = threading.Barrier(2, timeout=10)

    def meets(since):
        both.wait()

    assembly = Assembly((part("one", ready=meets), part("two", ready=meets)), ())
    supervisor, layout, _ = supervised(assembly)
    Starter(assembly, supervisor, layout, lambda progress: None).run()


def test_a_part_that_ends_again_and_again_is_given_up_with_its_last_words(supervised, monkeypatch):
    monkeypatch.setattr("headrace.stack.supervisord_config.RETRIES", 1)
    failing = part("server", "raise SystemExit('no such flag')", ready=lambda since: "not yet")
    assembly = Assembly((failing, part("dependent", needs=("server",))), ())
    supervisor, layout, _ = supervised(assembly)
    with pytest.raises(StackError, match="no such flag") as failure:
        Starter(assembly, supervisor, layout, lambda progress: None).run()
    assert "headrace logs server" in failure.value.remedy
    assert supervisor.processes()["dependent"].state == "STOPPED"


def test_a_part_that_never_gets_ready_fails_with_the_reason(supervised):
    assembly = Assembly((part("server", ready=lambda since: "no route", patience_seconds=1),), ())
    supervisor, layout, _ = supervised(assembly)
    with pytest.raises(StackError, match="no route"):
        Starter(assembly, supervisor, layout, lambda progress: None).run()


def test_a_killed_part_is_restarted_without_what_it_left(supervised):
    assembly = Assembly((part("server", FAMILY),), ())
    supervisor, layout, mark = supervised(assembly)
    Starter(assembly, supervisor, layout, lambda progress: None).run()
    wait_for(lambda: len(marked(mark)) == 2, 10, "the part has its child")
    family = {process.pid for process in marked(mark)}
    psutil.Process(supervisor.processes()["server"].pid).kill()
    wait_for(lambda: len(marked(mark)) == 2 and family.isdisjoint(process.pid for process in marked(mark)), 20, "a new family")


def test_stopping_takes_along_what_left_the_process_group(supervised):
    assembly = Assembly((part("server", FAMILY),), ())
    supervisor, layout, mark = supervised(assembly)
    Starter(assembly, supervisor, layout, lambda progress: None).run()
    wait_for(lambda: len(marked(mark)) == 2, 10, "the part has its child")
    stopped = []
    stop_parts(assembly, supervisor, stopped.append)
    assert stopped == ["server"]
    assert marked(mark) == []


def test_the_lock_is_one_holders_at_a_time(tmp_path):
    with (
        exclusive(tmp_path / "lock", patience_seconds=1),
        pytest.raises(StackError, match="another `headrace up`"),
        exclusive(tmp_path / "lock", patience_seconds=0.2),
    ):
        pass
    with exclusive(tmp_path / "lock", patience_seconds=0):
        pass
