"""Daemons are found by their mark, and only they are ended."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.node.daemons import Daemon, end, end_left_over, ensure_running, last_words, running
from cluster.node.home import Home

SLEEP = ("sleep", "300")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    end_left_over(home)


def test_a_daemon_that_runs_as_described_is_left_alone(home: Home) -> None:
    assert ensure_running(home, Daemon("sleeper", SLEEP))
    pid = running(home)["sleeper"].pid
    assert not ensure_running(home, Daemon("sleeper", SLEEP))
    assert running(home)["sleeper"].pid == pid


def test_a_daemon_whose_command_or_configuration_changed_is_started_anew(home: Home, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("one")
    ensure_running(home, Daemon("sleeper", SLEEP, reads=(config,)))
    config.write_text("two")
    assert ensure_running(home, Daemon("sleeper", SLEEP, reads=(config,)))
    assert ensure_running(home, Daemon("sleeper", ("sleep", "301"), reads=(config,)))
    assert len(running(home)) == 1


def test_a_daemon_that_died_is_started_again(home: Home) -> None:
    assert ensure_running(home, Daemon("short", ("sh", "-c", "echo farewell")))
    assert "short" not in running(home)
    assert last_words(home, "short") == "farewell\n"
    assert ensure_running(home, Daemon("short", ("sh", "-c", "echo farewell")))


def test_only_what_bears_this_homes_mark_is_ended(home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    ensure_running(home, Daemon("sleeper", SLEEP))
    ensure_running(other, Daemon("sleeper", SLEEP))
    with subprocess.Popen(SLEEP) as stranger:
        end(home, "sleeper")
        assert not running(home)
        assert "sleeper" in running(other)
        assert stranger.poll() is None
        stranger.kill()
    end_left_over(other)
    assert not running(other)


def test_one_that_refuses_to_end_is_killed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.node.daemons._CHANGES_WITHIN", 2)
    ensure_running(home, Daemon("stubborn", ("sh", "-c", "trap '' TERM; while :; do sleep 1; done")))
    end(home, "stubborn")
    assert "stubborn" not in running(home)


def test_what_a_daemon_left_behind_is_ended_too(home: Home) -> None:
    ensure_running(home, Daemon("parent", ("sh", "-c", "sleep 300 & wait")))
    end(home, "parent")
    end_left_over(home)
    assert not subprocess.run(("pgrep", "-f", str(home.root)), check=False, capture_output=True).stdout
