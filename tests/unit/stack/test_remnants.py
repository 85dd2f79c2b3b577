"""Finding and ending the stack's processes, with real ones."""

import os
import subprocess
import sys

import psutil
import pytest

from headrace.stack.remnants import PART_MARK, STACK_MARK, end, marked, remnants

STACK = "0123456789abcdef"
SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
FAMILY = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); print(p.pid, flush=True); p.wait()"


@pytest.fixture
def start():
    """Start a marked Python process and wait for its first line."""
    started = []

    def _start(code, stack=STACK, part="mlflow"):
        environment = os.environ | {STACK_MARK: stack, PART_MARK: part}
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process, process.stdout.readline().strip()

    yield _start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def pids(processes):
    return {process.pid for process in processes}


def test_processes_are_found_by_their_mark_alone(start):
    mine, _ = start(SLEEP)
    start(SLEEP, stack="another")
    assert pids(marked(STACK)) == {mine.pid}
    assert pids(marked(STACK, "mlflow")) == {mine.pid}
    assert marked(STACK, "postgres") == []


def test_what_descends_from_the_supervisor_is_no_remnant(start):
    mine, _ = start(SLEEP)
    assert remnants(STACK, supervisor=os.getpid()) == []
    assert pids(remnants(STACK, supervisor=None)) == {mine.pid}


def test_a_child_whose_parent_was_killed_is_a_remnant(start):
    parent, child = start(FAMILY)
    assert remnants(STACK, supervisor=os.getpid()) == []
    parent.kill()
    parent.wait()
    left = remnants(STACK, supervisor=os.getpid())
    assert pids(left) == {int(child)}
    assert end(left, grace_seconds=0) == []
    assert not psutil.pid_exists(int(child)) or psutil.Process(int(child)).status() == psutil.STATUS_ZOMBIE


def test_a_process_that_ignores_the_request_is_killed(start):
    stubborn, _ = start(STUBBORN)
    assert end(marked(STACK), grace_seconds=0.2) == []
    assert stubborn.wait() == -9


def test_ending_what_is_gone_is_harmless(start):
    process, _ = start(SLEEP)
    found = marked(STACK)
    process.kill()
    process.wait()
    assert end(found) == []
