"""Where PostgreSQL lies, and as whom it runs."""

import os

import pytest

from headrace.stack.placement import place, reachable, wheel_installation


@pytest.fixture
def open_folder(tmp_path_factory):
    """A folder that anyone may enter, with all above it but pytest's own."""
    folder = tmp_path_factory.mktemp("open")
    for each in (folder, *list(folder.parents)[:2]):
        each.chmod(0o755)
    return folder


def test_an_ordinary_user_runs_the_wheels_own_beside_the_home(tmp_path):
    placement = place(tmp_path, identity="x", as_root=False)
    assert placement.installation == wheel_installation()
    assert placement.data == tmp_path / "postgres" / "data"
    assert placement.owner is None


def test_root_drops_to_an_unprivileged_user(open_folder):
    placement = place(open_folder, identity="x", as_root=True)
    assert placement.owner.name == "nobody"
    assert placement.owner.uid != 0


def test_a_home_out_of_the_users_reach_sends_the_cluster_elsewhere(open_folder, tmp_path):
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    placement = place(closed / "home", identity="x", as_root=True, fallback=tmp_path)
    assert placement.folder.parent == tmp_path
    assert placement.installation.is_relative_to(placement.folder)


def test_a_new_installation_never_finds_an_old_ones_data(open_folder, tmp_path):
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    first, second = (place(closed, identity=secret, as_root=True, fallback=tmp_path) for secret in ("old", "new"))
    assert first.folder != second.folder


def test_a_folder_not_yet_there_is_judged_by_those_above_it(open_folder):
    assert reachable(open_folder / "not" / "yet") == reachable(open_folder)
    (open_folder / "closed").mkdir(mode=0o700)
    assert not reachable(open_folder / "closed" / "inside")


def test_the_wheel_has_the_programs():
    assert os.access(wheel_installation() / "bin" / "initdb", os.X_OK)
