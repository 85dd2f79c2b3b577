"""The PostgreSQL cluster on disk: created once, cleaned of what a crash left."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil

from headrace.errors import StackError
from headrace.stack.placement import Owner, Placement

_FOLDER_MODE = 0o755


def ensure_cluster(placement: Placement, *, link: Path, password: str) -> None:
    """Make the cluster ready to be started; a cluster that exists keeps its data.

    Args:
        placement: where it lies.
        link: `<home>/postgres`; becomes a link to the cluster's folder when that lies elsewhere.
        password: of the administrator `postgres`, for a new cluster.

    Raises:
        StackError: initdb failed.
    """
    placement.folder.mkdir(parents=True, exist_ok=True)
    placement.folder.chmod(_FOLDER_MODE)
    if placement.folder != link and not link.is_symlink():
        link.symlink_to(placement.folder)
    if not placement.installation.exists():
        _copy_wheel(placement.wheel, placement.installation)
    if not (placement.data / "PG_VERSION").exists():
        _initialise(placement, password)
    forget_dead_postmaster(placement.data)


def forget_dead_postmaster(data: Path) -> None:
    """Remove a postmaster.pid whose process is not this cluster's server.

    PostgreSQL itself ignores a dead pid, but not one that was given to another process since, as happens when a container starts
    again and pids begin anew. Only the server of this very data folder has it as its working directory.
    """
    file = data / "postmaster.pid"
    if file.exists() and not _serves(int(file.read_text().split("\n", 1)[0]), data):
        file.unlink()


def _serves(pid: int, data: Path) -> bool:
    try:
        return Path(psutil.Process(pid).cwd()) == data.resolve()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _copy_wheel(wheel: Path, installation: Path) -> None:
    """Copy the installation, and the wheel's folder of shared libraries to the same place relative to it."""
    libraries = wheel.parent.with_name(f"{wheel.parent.name}.libs")
    target = installation.parents[1]
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(wheel, unfinished / wheel.parent.name / wheel.name, symlinks=True)
    shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
    unfinished.rename(target)


def _initialise(placement: Placement, password: str) -> None:
    """Run initdb beside the data folder and move the result there: half a cluster is never taken for one."""
    unfinished = placement.folder / "data.unfinished"
    password_file = placement.folder / "password.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    password_file.unlink(missing_ok=True)
    try:
        unfinished.mkdir(mode=0o700)
        with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password)
        if placement.owner:
            os.chown(unfinished, placement.owner.uid, placement.owner.gid)
            os.chown(password_file, placement.owner.uid, placement.owner.gid)
        _initdb(placement, unfinished, password_file)
        unfinished.rename(placement.data)
    finally:
        password_file.unlink(missing_ok=True)


def _initdb(placement: Placement, data: Path, password_file: Path) -> None:
    command = [placement.binary("initdb"), f"--pgdata={data}", "--username=postgres", f"--pwfile={password_file}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **_as(placement.owner))
    if done.returncode:
        raise StackError(f"initdb failed: {(done.stderr or done.stdout).strip()}", where=str(data))


def _as(owner: Owner | None) -> dict[str, Any]:
    return {"user": owner.uid, "group": owner.gid, "extra_groups": []} if owner else {}
