"""Children that never outlive their parent, however it dies: Linux's PR_SET_PDEATHSIG (prctl(2))."""

from __future__ import annotations

import ctypes
import signal

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent ends. To be called in the child, between fork and exec.

    The signal comes when the parent's *thread* that forked ends: fork from a thread that lives as long as the child should.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
