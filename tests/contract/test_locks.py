"""Locks: one contract, on the fake and on a real PostgreSQL."""

import os
import signal
import subprocess
import sys
import threading
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from fakes import FakeLocks
from headrace.adapters.postgres.engine import open_engine
from headrace.adapters.postgres.locks import PostgresLocks, lock_key
from headrace.errors import UnavailableError

HOLD_FOR_EVER = """
import sys, threading
from headrace.adapters.postgres.locks import PostgresLocks
with PostgresLocks(sys.argv[1]).hold(sys.argv[2]):
    print("held", flush=True)
    threading.Event().wait()
"""

HOLDER = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = :low"


@pytest.fixture(params=["fake", "postgres"])
def locks(request):
    return FakeLocks() if request.param == "fake" else PostgresLocks(request.getfixturevalue("postgres_url"))


@pytest.fixture
def name():
    """A name no other test uses: they share a database."""
    return f"test/{uuid.uuid4().hex}"


def test_a_free_lock_is_had_at_once_again_and_again(locks, name):
    for _ in range(3):
        with locks.hold(name) as waited:
            assert not waited


def test_only_one_holds_and_the_others_know_that_they_waited(locks, name):
    inside, most, waits = 0, 0, []

    def work():
        nonlocal inside, most
        with locks.hold(name) as waited:
            inside += 1
            most = max(most, inside)
            waits.append(waited)
            inside -= 1

    workers = [threading.Thread(target=work) for _ in range(4)]
    with locks.hold(name):
        for worker in workers:
            worker.start()
        workers[0].join(0.2)  # time enough to come in, were the door open
        assert waits == []
    for worker in workers:
        worker.join(30)
    assert most == 1
    assert len(waits) == 4
    assert any(waits)


def test_different_names_do_not_wait_for_each_other(locks, name):
    with locks.hold(name), locks.hold(f"{name}/other") as waited:
        assert not waited


def test_an_error_inside_releases_the_lock_and_passes(locks, name):
    with pytest.raises(ZeroDivisionError), locks.hold(name):
        raise ZeroDivisionError
    with locks.hold(name) as waited:
        assert not waited


class TestPostgres:
    def test_a_killed_holder_releases(self, postgres_url, name):
        holder = subprocess.Popen([sys.executable, "-c", HOLD_FOR_EVER, postgres_url, name], stdout=subprocess.PIPE, text=True)
        with holder:
            assert holder.stdout.readline() == "held\n"
            os.kill(holder.pid, signal.SIGKILL)
            with PostgresLocks(postgres_url).hold(name):
                pass

    def test_a_lock_that_was_lost_while_held_is_reported(self, postgres_url, name):
        end_holder = f"SELECT pg_terminate_backend(pid) FROM ({HOLDER}) AS holder"
        with pytest.raises(UnavailableError), PostgresLocks(postgres_url).hold(name):
            assert ask(postgres_url, end_holder, name) == [True]

    def test_no_transaction_stays_open_while_held_and_nothing_afterwards(self, postgres_url, name):
        state = f"SELECT state FROM pg_stat_activity JOIN ({HOLDER}) AS holder USING (pid)"
        with PostgresLocks(postgres_url).hold(name):
            assert ask(postgres_url, state, name) == ["idle"]
        assert ask(postgres_url, HOLDER, name) == []


def ask(url, query, name):
    """The first column of a query about the lock of this name."""
    with open_engine(url).connect() as connection:
        return list(connection.execute(text(query), {"low": lock_key(name) & 0xFFFFFFFF}).scalars())


@given(st.text())
def test_a_key_fits_into_a_signed_64_bit_number(name):
    assert -(2**63) <= lock_key(name) < 2**63
    assert lock_key(name) == lock_key(name)
