"""One generation of a graph: the pools of all its nodes, and the walk a request takes through them.

The walk is Seldon's executor's: https://docs.seldon.io/projects/seldon-core/en/v1/graph/inference-graph.html. A node's own method
first, then its children in parallel, then the combination. A child's error is the graph's; there is no partial answer.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import aiohttp

from headrace.serving.engine.document import Deployment, Node, NodeType
from headrace.serving.engine.errors import NodeTimeoutError, NotReadyError
from headrace.serving.engine.parallel import together
from headrace.serving.engine.pool import Pool
from headrace.serving.engine.preparation import prepare
from headrace.serving.engine.replica import Launch, Replica

_BEFORE_CHILDREN = {NodeType.MODEL: "/predict", NodeType.TRANSFORMER: "/transform-input"}
_AFTER_CHILDREN = {NodeType.COMBINER: "/aggregate", NodeType.OUTPUT_TRANSFORMER: "/transform-output"}
_DRAIN_SECONDS = 30.0
_DRAIN_POLL_SECONDS = 0.02
_MOST_FAILURES = 2
"""Replicas that may fail at one request: a second one, in case the first was dying anyway, but not all of them in turn."""


class NodeRefusalError(Exception):
    """A node answered with an error; it is passed on as it came.

    Attributes:
        status: the node's HTTP status.
        body: the node's own message.
    """

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class NodeFailureError(NodeRefusalError):
    """The node's error is its own, not the message's: another replica may know better."""


class Generation:
    """A running graph. Started whole or not at all, asked, drained, stopped."""

    def __init__(self, deployment: Deployment, launch: Launch) -> None:
        self.deployment = deployment
        """What it was made from. May be replaced by a document with an equal spec: labels and time-outs need no new processes."""
        self._launch = launch
        self._pools = {node.name: Pool(deployment, node, launch) for node in deployment.root.walk()}
        self._asked = 0

    async def start(self) -> None:
        """Run all init containers, then start all nodes. Whatever ends this early, cancellation too, no process is left.

        Raises:
            RolloutError: an init container failed or a node did not become ready; says which, and its last words.
        """
        try:
            preparations = self.deployment.preparations
            await together(*(prepare(self.deployment, each, self._launch) for each in preparations))
            await together(*(pool.start() for pool in self._pools.values()))
        except BaseException:
            for pool in self._pools.values():
                pool.kill()
            raise

    async def ask(self, message: bytes) -> bytes:
        """Send a Seldon message through the graph.

        Raises:
            NodeRefusalError: a node answered with an error.
            NotReadyError: a node has no replica that can be asked.
            NodeTimeoutError: a node took too long.
        """
        self._asked += 1
        try:
            return await self._visit(self.deployment.root, message)
        finally:
            self._asked -= 1

    async def drain(self) -> None:
        """Wait until nothing is in flight, at most half a minute."""
        deadline = asyncio.get_running_loop().time() + _DRAIN_SECONDS
        while self._asked and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_DRAIN_POLL_SECONDS)

    async def stop(self) -> None:
        """End all processes."""
        await asyncio.gather(*(pool.stop() for pool in self._pools.values()))

    def describe(self) -> list[dict[str, Any]]:
        """Every replica of every node."""
        return [replica for pool in self._pools.values() for replica in pool.describe()]

    async def _visit(self, node: Node, message: bytes) -> bytes:
        if node.type in _BEFORE_CHILDREN:
            message = await self._call(node, _BEFORE_CHILDREN[node.type], message)
        if node.children:
            replies = await together(*(self._visit(child, message) for child in node.children))
            message = b"[" + b",".join(replies) + b"]" if node.type is NodeType.COMBINER else replies[0]
        if node.type in _AFTER_CHILDREN:
            message = await self._call(node, _AFTER_CHILDREN[node.type], message)
        return message

    async def _call(self, node: Node, method: str, message: bytes) -> bytes:
        """Ask a replica; when it fails at this, another one. Predictions change nothing, so asking twice is safe."""
        pool = self._pools[node.name]
        asked: list[Replica] = []
        failures: list[Exception] = []
        while len(failures) < _MOST_FAILURES and (replica := pool.least_busy(avoid=asked)):
            asked.append(replica)
            try:
                with replica.busy():
                    return await self._post(replica, method, message)
            except TimeoutError as error:
                replica.suspect()
                raise NodeTimeoutError(f"node {node.name} did not answer in {self.deployment.timeout:g} s") from error
            except aiohttp.ClientConnectorError:
                replica.suspect()  # it was not there at all, which says nothing about the message
            except aiohttp.ClientError as error:
                replica.suspect()
                failures.append(NotReadyError(f"node {node.name} broke off while it worked on this: {error}"))
            except NodeFailureError as error:
                failures.append(error)
        raise (
            failures[-1]
            if failures
            else NotReadyError(f"node {node.name} has no ready replica", where=self.deployment.name, remedy="Ask again soon.")
        )

    async def _post(self, replica: Replica, method: str, message: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=self.deployment.timeout)
        async with self._launch.session.post(replica.address + method, data=message, headers=headers, timeout=timeout) as reply:
            body = await reply.read()
        if reply.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            replica.answered()
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise NodeFailureError(reply.status, body)
        if reply.status >= HTTPStatus.BAD_REQUEST:
            raise NodeRefusalError(reply.status, body)
        return body
