"""The cluster on disk: created whole, cleaned of what a crash left."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from headrace.stack.cluster import ensure_cluster, forget_dead_postmaster
from headrace.stack.placement import place, running_as_root


@pytest.fixture
def home():
    """Not pytest's own folder: only its owner may enter that."""
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def create(home, **more):
    placement = place(home, identity="x", as_root=running_as_root(), **more)
    ensure_cluster(placement, link=home / "postgres", password="top secret")
    return placement


def test_a_cluster_is_created_once_and_leaves_no_password_behind(home):
    placement = create(home)
    assert (placement.data / "PG_VERSION").exists()
    assert stat.S_IMODE(placement.data.stat().st_mode) == 0o700
    assert [entry.name for entry in placement.folder.iterdir()] == ["data"]
    before = (placement.data / "PG_VERSION").stat().st_ino
    create(home)
    assert (placement.data / "PG_VERSION").stat().st_ino == before


def test_a_half_made_cluster_is_made_anew(home):
    (home / "postgres" / "data.unfinished" / "base").mkdir(parents=True)
    placement = create(home)
    assert (placement.data / "PG_VERSION").exists()
    assert not (placement.folder / "data.unfinished").exists()


@pytest.mark.skipif(not running_as_root(), reason="an ordinary user reaches its own folders")
def test_a_cluster_elsewhere_is_linked_from_the_home(home):
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    placement = create(closed, fallback=home / "elsewhere")
    assert (closed / "postgres").resolve() == placement.folder
    assert (closed / "postgres" / "data" / "PG_VERSION").exists()


def test_a_dead_servers_pid_file_is_removed_even_if_its_pid_lives_again(tmp_path):
    file = tmp_path / "postmaster.pid"
    file.write_text(f"{os.getpid()}\n{tmp_path}\n")
    forget_dead_postmaster(tmp_path)
    assert not file.exists()


def test_a_living_servers_pid_file_is_kept(tmp_path):
    server = subprocess.Popen([sys.executable, "-c", "input()"], cwd=tmp_path, stdin=subprocess.PIPE)
    try:
        file = tmp_path / "postmaster.pid"
        file.write_text(f"{server.pid}\n")
        forget_dead_postmaster(tmp_path)
        assert file.exists()
    finally:
        server.communicate(b"\n")
