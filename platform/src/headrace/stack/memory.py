"""What a process tree costs: its proportional set size, in which memory shared by several processes is counted once."""

from __future__ import annotations

import psutil


def tree_pss_bytes(pid: int) -> int:
    """PSS in bytes of a process and its descendants; those that ended meanwhile, or that may not be read, count nothing."""
    try:
        root = psutil.Process(pid)
        members = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(map(_pss_bytes, members))


def _pss_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
