"""The groups that kubelet makes for pods."""

from __future__ import annotations

import contextlib
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PODS = "kubepods"


def remove_pod_cgroups() -> None:
    """Remove them, empty as they are once their pods are gone; one in use stays. Version 1 has a tree a controller, 2 one."""
    for top in (_ROOT / _PODS, *_ROOT.glob(f"*/{_PODS}")):
        for folder in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
            _remove(folder)
        _remove(top)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
