"""Taken ports."""

import os
import socket

import psutil
import pytest

from headrace.errors import StackError
from headrace.stack.listeners import describe, listeners, refuse_taken_ports
from headrace.stack.part import Part, Port


@pytest.fixture
def taken():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def part(port):
    return Part(
        name="mlflow", command=("true",), ready=lambda since: None, version=lambda: "1", port=Port(port, "HEADRACE_PORTS__MLFLOW")
    )


def test_a_taken_port_is_refused_with_part_holder_and_setting(taken):
    with pytest.raises(StackError) as refused:
        refuse_taken_ports([part(taken)])
    assert refused.value.what == f"port {taken}, which mlflow needs, is taken by {psutil.Process().name()} (pid {os.getpid()})"
    assert "HEADRACE_PORTS__MLFLOW=<port>" in refused.value.remedy


def test_free_ports_pass(taken):
    held = {port for _, port, _ in listeners()}
    free = next(port for port in range(20000, 30000) if port not in held)
    refuse_taken_ports([part(free)])
    assert taken in held


def test_a_holder_that_may_not_be_seen_is_said_so():
    assert describe(None) == "a process of another user"
