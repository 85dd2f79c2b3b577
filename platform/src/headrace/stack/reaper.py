"""An extension of supervisord: before a dead part is started anew, whatever its predecessor left running is killed.

supervisord kills a part's process group when *it* stops the part, but not when the part dies on its own; and Airflow's tasks and
the engine's replicas have groups of their own. A killed scheduler would leave tasks running beside those its successor starts
again: two trainings into one MLflow run. The extension runs inside supervisord's event loop, so it is done before the restart.
"""

from __future__ import annotations

import os
from typing import Any

from supervisor import events

from headrace.stack.remnants import end, remnants


class Reaper:
    """Subscribes to the ends of parts; as an XML-RPC namespace it offers no method.

    Args:
        stack: the mark of this installation's processes.
    """

    def __init__(self, stack: str) -> None:
        self._stack = stack
        for kind in (events.ProcessStateExitedEvent, events.ProcessStateBackoffEvent, events.ProcessStateStoppedEvent):
            events.subscribe(kind, self._sweep)

    def _sweep(self, event: Any) -> None:
        part = event.process.config.name
        left = remnants(self._stack, supervisor=os.getpid(), part=part)
        if left:
            event.process.config.options.logger.warn(f"killing what {part} left behind: {[process.pid for process in left]}")
            end(left, grace_seconds=0)


def make_reaper(supervisord: Any, *, stack: str) -> Reaper:
    """What supervisord calls for the `[rpcinterface:…]` section, with the section's keys as arguments."""
    del supervisord
    return Reaper(stack)
