"""A process tree that never outlives its parent, however it dies: Linux's PR_SET_PDEATHSIG (prctl(2)).

`python -m headrace.serving.parent_death COMMAND…` becomes a command that does not: it ends with the process PARENT_KEY names.

The platform has the same few lines (`headrace.adapters.parent_death`); the serving environment imports nothing of it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PARENT_KEY = "HEADRACE_ENGINE_PID"
"""The environment variable that tells a node which engine it belongs to."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the thread that made this process ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def tie_tree_to(parent: int) -> None:
    """Tie this process to `parent`, and every process it will fork to it. Ends at once if the parent is gone already."""
    die_with_parent()
    if os.getppid() != parent:
        os._exit(1)
    os.register_at_fork(after_in_child=die_with_parent)


def main() -> None:
    """Become the command, tied to the parent: the kernel remembers across exec."""
    tie_tree_to(int(os.environ.pop(PARENT_KEY)))
    command = sys.argv[1:]
    try:
        os.execvp(command[0], command)  # noqa: S606 - arguments are a list, no shell
    except OSError as error:
        raise SystemExit(f"{command[0]} cannot be run: {error}") from error


if __name__ == "__main__":
    main()
