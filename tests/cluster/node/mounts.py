"""Mounts that pods and builds left below a folder."""

from __future__ import annotations

from pathlib import Path

from cluster.node.shell import run

_OCTAL_SPACE = "\\040"


def unmount_below(folder: Path) -> None:
    """Unmount everything below the folder, the innermost first."""
    for mount in reversed(mounts_below(folder, Path("/proc/self/mounts").read_text())):
        run("umount", "--lazy", mount)


def mounts_below(folder: Path, table: str) -> list[str]:
    """The mount points below the folder, in the order in which they were mounted."""
    points = [line.split()[1].replace(_OCTAL_SPACE, " ") for line in table.splitlines()]
    return [point for point in points if Path(point).is_relative_to(folder)]
