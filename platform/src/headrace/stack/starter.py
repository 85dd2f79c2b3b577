"""Starting the parts in order: each as soon as what it needs is ready, so that slow ones start side by side."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter

from headrace.errors import StackError
from headrace.stack.health import Health, examine
from headrace.stack.logs import last_lines
from headrace.stack.order import needs_of
from headrace.stack.part import Assembly, Part, PartState, Setup
from headrace.stack.supervisor import Supervisor
from headrace.stack.supervisord_config import Layout

_POLL_SECONDS = 0.3
_TAIL_LINES = 15


@dataclass(frozen=True)
class Progress:
    """A node (part or set-up) began, or is done after `seconds`."""

    name: str
    title: str
    done: bool
    seconds: float


Report = Callable[[Progress], None]


class Starter:
    """Starts a stack's parts under a running supervisor.

    Args:
        assembly: what there is to start.
        supervisor: runs it.
        layout: where the logs lie.
        report: told of each node's begin and end; called from several threads.
    """

    def __init__(self, assembly: Assembly, supervisor: Supervisor, layout: Layout, report: Report) -> None:
        self._assembly = assembly
        self._supervisor = supervisor
        self._layout = layout
        self._report = report

    def run(self) -> None:
        """Start everything; parts that run already are only waited for.

        Raises:
            StackError: a part was given up or not ready in its patience, or a set-up failed. What depends on it is not started,
                the rest stays up.
        """
        order = TopologicalSorter(needs_of(self._assembly))
        order.prepare()
        nodes = {node.name: node for node in self._assembly.nodes}
        with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
            pending: dict[Future[None], str] = {}
            while order.is_active():
                pending |= {pool.submit(self._timed, nodes[name]): name for name in order.get_ready()}
                finished, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    order.done(pending.pop(future))

    def _timed(self, node: Part | Setup) -> None:
        title = node.title if isinstance(node, Setup) else node.name
        began = time.monotonic()
        self._report(Progress(node.name, title, done=False, seconds=0.0))
        if isinstance(node, Setup):
            node.run()
        else:
            self._start(node)
        self._report(Progress(node.name, title, done=True, seconds=time.monotonic() - began))

    def _start(self, part: Part) -> None:
        self._supervisor.start_part(part.name)
        deadline = time.monotonic() + part.patience_seconds
        while (health := self._examine(part)).state is not PartState.RUNNING:
            if health.state is PartState.FAILED or time.monotonic() > deadline:
                raise self._failure(part, health)
            time.sleep(_POLL_SECONDS)

    def _examine(self, part: Part) -> Health:
        return examine(part, self._supervisor.processes().get(part.name))

    def _failure(self, part: Part, health: Health) -> StackError:
        log = self._layout.log(part.name)
        lines = "\n".join(["", *last_lines(log, _TAIL_LINES)])
        return StackError(
            f"{part.name} did not start: {health.reason or health.state}{lines}",
            where=str(log),
            remedy=f"Look at `headrace logs {part.name}`, then run `headrace up` again.",
        )
