"""The replicas of one node: the least busy ready one is asked, and a dead one is replaced."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any

from headrace.serving.engine.document import Deployment, Node
from headrace.serving.engine.errors import RolloutError
from headrace.serving.engine.parallel import together
from headrace.serving.engine.replica import Launch, Replica, ReplicaState

_FIRST_BACKOFF_SECONDS = 0.5
_LAST_BACKOFF_SECONDS = 15.0
_STEADY_SECONDS = 30.0
"""A replica that lasts this long is no part of a crash loop."""
log = logging.getLogger(__name__)


class Pool:
    """All replicas of a node, each supervised by a task of its own."""

    def __init__(self, deployment: Deployment, node: Node, launch: Launch) -> None:
        self.node = node
        self._deployment, self._launch = deployment, launch
        self._replicas = [self._new(index) for index in range(node.replicas)]
        self._restarts = [0] * node.replicas
        self._supervisors: list[asyncio.Task[None]] = []
        self._users = 0

    @property
    def is_whole(self) -> bool:
        """Whether every replica is ready."""
        return all(each.state is ReplicaState.READY for each in self._replicas)

    def acquire(self) -> None:
        """Count one more generation that asks it."""
        self._users += 1

    async def release(self) -> None:
        """Count one less, and end every replica gently after the last one."""
        self._users -= 1
        if not self._users:
            self._leave_alone()
            await asyncio.gather(*(replica.stop() for replica in self._replicas))

    async def start(self) -> None:
        """Start every replica and return when all are ready; from then on they are supervised.

        Raises:
            RolloutError: one did not become ready; carries its last words.
        """
        await together(*(_started(replica) for replica in self._replicas))
        self._supervisors = [asyncio.create_task(self._supervise(index)) for index in range(len(self._replicas))]

    def least_busy(self, avoid: Collection[Replica] = ()) -> Replica | None:
        """The ready replica with the fewest requests in flight, doubted ones last; None when none but avoided ones are ready."""
        ready = (each for each in self._replicas if each.state is ReplicaState.READY and each not in avoid)
        return min(ready, key=lambda each: (each.doubted, each.in_flight), default=None)

    def kill(self) -> None:
        """End every replica at once, and their supervision."""
        self._leave_alone()
        for replica in self._replicas:
            replica.kill()

    def describe(self) -> list[dict[str, Any]]:
        """Every replica, for the document's status."""
        return [replica.describe(self._restarts[replica.index]) for replica in self._replicas]

    def _new(self, index: int) -> Replica:
        return Replica(self._deployment, self.node, index, self._launch)

    def _leave_alone(self) -> None:
        for supervisor in self._supervisors:
            supervisor.cancel()

    async def _supervise(self, index: int) -> None:
        """Replace the replica whenever it ends: the first time at once, then with growing pauses until one lasts."""
        clock, pause = asyncio.get_running_loop().time, 0.0
        while True:
            began, replica = clock(), self._replicas[index]
            await replica.live()
            if clock() - began >= _STEADY_SECONDS:
                pause = 0.0
            log.warning("replica %d of %s starts again in %g s: %s", index, self.node.name, pause, replica.why_ended())
            await asyncio.sleep(pause)
            pause = min(max(2 * pause, _FIRST_BACKOFF_SECONDS), _LAST_BACKOFF_SECONDS)
            self._restarts[index] += 1
            self._replicas[index] = self._new(index)
            await self._replicas[index].start()


async def _started(replica: Replica) -> None:
    await replica.start()
    if replica.state is not ReplicaState.READY:
        raise RolloutError(
            f"replica {replica.index} of node {replica.node.name} did not become ready: {replica.why_ended()}",
            where=str(replica.log),
        )
