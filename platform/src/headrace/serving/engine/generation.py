"""One generation of a graph: the pools of all its nodes, and the walk a request takes through them.

The walk is Seldon's executor's: https://docs.seldon.io/projects/seldon-core/en/v1/graph/inference-graph.html. A node's own method
first, then its children in parallel, then the combination. A child's error is the graph's; there is no partial answer. A router
asks one of its children, drawn by lot (executor/predictor/components.go).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp

from headrace.serving.engine.document import Deployment, Node, NodeType
from headrace.serving.engine.errors import NodeTimeoutError, NotReadyError
from headrace.serving.engine.meter import Meter, classes_of
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
_MOST_SHADOWS = 16
"""Requests that a shadow may be at; beyond that, it is not asked. It takes nothing from who is answered."""
_TO_ALL = -1
"""What Seldon writes of a node that asked all its children, or had none to choose from."""


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


@dataclass
class Answer:
    """What a graph answered.

    Attributes:
        message: a Seldon message.
        routing: by node, which child was asked: its index, or -1 for all. None where the document asks for no such thing.
    """

    message: bytes
    routing: Mapping[str, int] | None = None


@dataclass
class _Walk:
    """One request on its way through the graph."""

    routing: dict[str, int] = field(default_factory=dict)


class Generation:
    """A running graph. Started whole or not at all, asked, drained, stopped.

    Args:
        deployment: what to run.
        launch: what the engine gives every replica.
        former: what runs now. Nodes of it that are the same, and well, are not started anew: both ask them until the former ends.
    """

    def __init__(self, deployment: Deployment, launch: Launch, former: Generation | None = None) -> None:
        self.deployment = deployment
        """What it was made from. May be replaced by a document with an equal spec: labels and time-outs need no new processes."""
        self.meter = Meter()
        self._launch = launch
        self._adopted = {node.name: pool for node in deployment.nodes if former and (pool := former.running(node))}
        self._new = {node.name: Pool(deployment, node, launch) for node in deployment.nodes if node.name not in self._adopted}
        self._pools = {**self._adopted, **self._new}
        self._asked = 0
        self._shadows: set[asyncio.Task[None]] = set()

    def running(self, node: Node) -> Pool | None:
        """The pool that runs this very node, with all its replicas ready; None when there is none."""
        pool = self._pools.get(node.name)
        return pool if pool and pool.is_whole and pool.node.runs_as(node) else None

    async def start(self) -> None:
        """Run all init containers, then start all nodes. Whatever ends this early, cancellation too, no process is left.

        Raises:
            RolloutError: an init container failed or a node did not become ready; says which, and its last words.
        """
        for pool in self._pools.values():
            pool.acquire()
        try:
            done = [pool.node.preparations for pool in self._adopted.values()]
            preparations = [each for each in self.deployment.preparations if each not in done]
            await together(*(prepare(self.deployment, each, self._launch) for each in preparations))
            await together(*(pool.start() for pool in self._new.values()))
        except BaseException:
            for pool in self._new.values():
                pool.kill()
            for pool in self._adopted.values():
                await pool.release()
            raise

    async def ask(self, message: bytes) -> Answer:
        """Send a Seldon message through the graph.

        Raises:
            NodeRefusalError: a node answered with an error.
            NotReadyError: a node has no replica that can be asked.
            NodeTimeoutError: a node took too long.
        """
        self._asked += 1
        try:
            shadow = self.deployment.shadow
            if shadow and random.random() < shadow.share and len(self._shadows) < _MOST_SHADOWS:  # noqa: S311 - a lot, no secret
                return await self._ask_with_shadow(shadow.root, message)
            return await self._walk(message)
        finally:
            self._asked -= 1

    async def _walk(self, message: bytes) -> Answer:
        walk = _Walk()
        reply = await self._visit(self.deployment.root, message, walk)
        return Answer(reply, walk.routing if self.deployment.tells_routes else None)

    async def _ask_with_shadow(self, shadow: Node, message: bytes) -> Answer:
        """Answer, and then ask the shadow the same; what becomes of that is counted, and nobody's concern beside."""
        answer: Answer | None = None
        try:
            with self.meter.measured(self.deployment.root.name):
                answer = await self._walk(message)
            return answer
        finally:
            task = asyncio.create_task(self._ask_shadow(shadow, message, answer))
            self._shadows.add(task)
            task.add_done_callback(self._shadows.discard)

    async def _ask_shadow(self, shadow: Node, message: bytes, answer: Answer | None) -> None:
        with contextlib.suppress(Exception):
            with self.meter.measured(shadow.name):
                reply = await self._visit(shadow, message, _Walk())
            if answer is not None:
                self.meter.compare(classes_of(answer.message), classes_of(reply))

    async def drain(self) -> None:
        """Wait until nothing is in flight, at most half a minute."""
        deadline = asyncio.get_running_loop().time() + _DRAIN_SECONDS
        while self._asked and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_DRAIN_POLL_SECONDS)

    async def stop(self) -> None:
        """End all processes, but for those that a later generation has taken over."""
        for task in self._shadows:
            task.cancel()
        await asyncio.gather(*(pool.release() for pool in self._pools.values()))

    def describe(self) -> list[dict[str, Any]]:
        """Every replica of every node."""
        return [replica for pool in self._pools.values() for replica in pool.describe()]

    async def _visit(self, node: Node, message: bytes, walk: _Walk) -> bytes:
        if node.type is NodeType.ROUTER:
            return await self._route(node, message, walk)
        if node.type in _BEFORE_CHILDREN:
            walk.routing[node.name] = _TO_ALL
            message = await self._call(node, _BEFORE_CHILDREN[node.type], message)
        if node.children:
            replies = await together(*(self._visit(child, message, walk) for child in node.children))
            walk.routing[node.name] = _TO_ALL
            message = b"[" + b",".join(replies) + b"]" if node.type is NodeType.COMBINER else replies[0]
        if node.type in _AFTER_CHILDREN:
            message = await self._call(node, _AFTER_CHILDREN[node.type], message)
        return message

    async def _route(self, node: Node, message: bytes, walk: _Walk) -> bytes:
        """Ask one child, drawn by lot, and count how that goes."""
        route = 0 if random.random() < node.ratio else 1  # noqa: S311 - a lot, no secret
        child = node.children[route]
        with self.meter.measured(child.name):
            reply = await self._visit(child, message, walk)
        walk.routing[node.name] = route
        return reply

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
