"""One replica of a node: a process, its ports, and whether it may be asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from headrace.serving.engine.document import Deployment, Node
from headrace.serving.engine.process import Process
from headrace.serving.parent_death import PARENT_KEY

_COMMAND = (sys.executable, "-m", "headrace.serving.node")
_PROBE_SECONDS = 0.1
_LIVENESS_SECONDS = 5.0
"""Between two looks at a replica that is ready."""
_SHORTEST_SILENCE_SECONDS = 5.0
_MOST_SILENCES = 3
"""A replica that is silent so many times in a row hangs. Each silence lasts as long as a prediction may take."""
_STORE_KEYS = "HEADRACE_MINIO__"


class ReplicaState(StrEnum):
    """Where a replica stands. Only a ready one is asked."""

    STARTING = "starting"
    READY = "ready"
    DEAD = "dead"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Launch:
    """What the engine gives every replica: where to log, how long a start may take, and the client to probe with."""

    log_folder: Path
    ready_within: float
    session: aiohttp.ClientSession

    def log_of(self, deployment: Deployment, name: str) -> Path:
        """Where a process of the deployment logs."""
        return self.log_folder / deployment.namespace / deployment.name / f"{name}.log"


class Replica:
    """A process that serves one node. It is started, becomes ready, and ends; a successor is made by whoever supervises it."""

    def __init__(self, deployment: Deployment, node: Node, index: int, launch: Launch) -> None:
        self.node, self.index = node, index
        self.state = ReplicaState.STARTING
        self.in_flight = 0
        self.since = datetime.now(UTC)
        self.port = 0
        self.doubted = False
        """It did not answer the last time it was asked: any other one is asked first."""
        self._deployment, self._launch = deployment, launch
        self._process = Process(launch.log_of(deployment, f"{node.name}-{index}"))
        self._failure = ""
        self._answered = False

    @property
    def log(self) -> Path:
        """Where it logs."""
        return self._process.log

    @property
    def address(self) -> str:
        """Base URL of the node's HTTP interface."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start the process and return once it is ready, or has ended, or its time is up (`state` tells).

        Whatever ends the start early, no process is left.
        """
        try:
            await self._spawn()
            ready = await self._ready_in_time()
        except OSError as error:
            self._failure = f"it could not be started: {error}"
            ready = False
        except BaseException:
            self.kill()
            raise
        if ready:
            self._become(ReplicaState.READY)
        else:
            self._failure = self._failure or self._how_it_failed()
            self._process.sweep()
            await self.wait_ended()

    async def wait_ended(self) -> None:
        """Return when the main process has ended, however; what is left of its tree is ended too."""
        await self._process.wait()
        if self.state is not ReplicaState.STOPPED:
            self._become(ReplicaState.DEAD)

    async def live(self) -> None:
        """Return when it has ended: by itself, or because it was found to hang."""
        watch = asyncio.create_task(self._end_when_it_hangs())
        try:
            await self.wait_ended()
        finally:
            watch.cancel()

    async def stop(self) -> None:
        """End the process gently, then not. Idle replicas only: what is in flight is lost."""
        self._become(ReplicaState.STOPPED)
        await self._process.stop()

    def kill(self) -> None:
        """End the whole process tree at once, without a word. It is not waited for."""
        self._become(ReplicaState.STOPPED)
        self._process.sweep()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Count one more request as in flight."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    def answered(self) -> None:
        """It answered a prediction: it is alive."""
        self._answered, self.doubted = True, False

    def suspect(self) -> None:
        """It did not answer: it is not asked first, or not at all, until it is known to live."""
        self.doubted = True
        if self.state is ReplicaState.READY and not self._process.runs:
            self._become(ReplicaState.DEAD)

    def why_ended(self) -> str:
        """What went wrong, and the end of what the process logged."""
        return f"{self._failure or self._how_it_failed()}; its last words:\n{self._process.last_words()}"

    def describe(self, restarts: int) -> dict[str, Any]:
        """For the document's status."""
        return {
            "node": self.node.name,
            "replica": self.index,
            "pid": self._process.pid,
            "port": self.port,
            "state": self.state.value,
            "restarts": restarts,
            "since": self.since.isoformat(timespec="seconds"),
        }

    def _become(self, state: ReplicaState) -> None:
        if self.state is not state:
            self.state, self.since = state, datetime.now(UTC)

    async def _spawn(self) -> None:
        self.port, metrics_port = _free_ports(2)
        await self._process.start(_COMMAND, self._environment(metrics_port))

    async def _ready_in_time(self) -> bool:
        ready = asyncio.create_task(self._probe())
        ended = asyncio.create_task(self._process.wait())
        try:
            done, _ = await asyncio.wait({ready, ended}, timeout=self._launch.ready_within, return_when=asyncio.FIRST_COMPLETED)
            return done == {ready} and ready.exception() is None
        finally:
            ready.cancel()
            ended.cancel()

    def _how_it_failed(self) -> str:
        code = self._process.exit_code
        return f"it was not ready within {self._launch.ready_within:g} s" if code is None else f"it ended with code {code}"

    async def _end_when_it_hangs(self) -> None:
        """Look at the ready replica from time to time, and end it once it hangs.

        Any answer is a sign of life; it is asked for one only when there was none of late. So a busy replica, whose health
        comes after the predictions that wait, is not taken for one that hangs, and load is not made worse by questions.
        """
        silences = 0
        while silences < _MOST_SILENCES:
            self._answered = False
            await asyncio.sleep(_LIVENESS_SECONDS)
            self._process.bound_log()
            alive = self._answered or await self._is_healthy() or self._answered
            silences = 0 if alive else silences + 1
            self.doubted = not alive
        self._failure = f"it answered nothing, {_MOST_SILENCES} times in a row"
        self._become(ReplicaState.DEAD)
        self._process.sweep()

    async def _is_healthy(self) -> bool:
        """Whether it says so in the time that a prediction may take."""
        timeout = aiohttp.ClientTimeout(total=max(self._deployment.timeout, _SHORTEST_SILENCE_SECONDS))
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._launch.session.get(f"{self.address}/health/status", timeout=timeout) as reply:
                return reply.status == HTTPStatus.OK
        return False

    async def _probe(self) -> None:
        """Return once the node says over HTTP that it is healthy; a TCP connection alone proves nothing."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self._launch.session.get(f"{self.address}/health/status") as reply:
                    if reply.status == HTTPStatus.OK:
                        return
            await asyncio.sleep(_PROBE_SECONDS)

    def _environment(self, metrics_port: int) -> dict[str, str]:
        """The container's environment as Seldon's operator sets it, and what ties the process to this engine.

        The wrapper's gRPC and debug servers would bind every interface, so they stay off. The keys of the store are the init
        containers' business.
        """
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(_STORE_KEYS)},
            **self.node.environment,
            "GRPC_WORKERS": "0",
            "SELDON_DEBUG": "0",
            "PREDICTIVE_UNIT_ID": self.node.name,
            "PREDICTIVE_UNIT_IMAGE": self.node.image,
            "PREDICTIVE_UNIT_PARAMETERS": self.node.parameters,
            "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": str(self.port),
            "PREDICTIVE_UNIT_METRICS_SERVICE_PORT": str(metrics_port),
            "SELDON_DEPLOYMENT_ID": self._deployment.name,
            "PREDICTOR_ID": self._deployment.predictor,
            PARENT_KEY: str(os.getpid()),
        }


def _free_ports(count: int) -> list[int]:
    """Ports that are free now; a thief between now and their use shows as a replica that ends, and is started anew."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
