"""One replica of a node: a process, its ports, and whether it may be asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
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
from headrace.serving.parent_death import PARENT_KEY

_STOP_SECONDS = 5
_PROBE_SECONDS = 0.1
_TAIL_BYTES = 4000


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


class Replica:
    """A process that serves one node. It is started, becomes ready, and ends; a successor is made by whoever supervises it."""

    def __init__(self, deployment: Deployment, node: Node, index: int, launch: Launch) -> None:
        self.node, self.index = node, index
        self.state = ReplicaState.STARTING
        self.in_flight = 0
        self.since = datetime.now(UTC)
        self.port = 0
        self._deployment, self._launch = deployment, launch
        self._process: asyncio.subprocess.Process | None = None
        self._failure = ""
        self._first_word = 0
        folder = launch.log_folder / deployment.namespace / deployment.name
        self.log = folder / f"{node.name}-{index}.log"

    @property
    def pid(self) -> int | None:
        """The main process's id, once started."""
        return self._process.pid if self._process else None

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
            self._sweep()
            await self.wait_ended()

    async def wait_ended(self) -> None:
        """Return when the main process has ended, however; what is left of its tree is ended too."""
        if self._process is not None:
            await self._process.wait()
            self._sweep()
        if self.state is not ReplicaState.STOPPED:
            self._become(ReplicaState.DEAD)

    async def stop(self) -> None:
        """End the process gently, then not. Idle replicas only: what is in flight is lost."""
        self._become(ReplicaState.STOPPED)
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            self._process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        self._sweep()
        await self._process.wait()

    def kill(self) -> None:
        """End the whole process tree at once, without a word. It is not waited for."""
        self._become(ReplicaState.STOPPED)
        self._sweep()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Count one more request as in flight."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    def suspect(self) -> None:
        """A connection to it broke: it is not asked again until it is known to live."""
        if self.state is ReplicaState.READY and not _alive(self.pid):
            self._become(ReplicaState.DEAD)

    def why_not_ready(self) -> str:
        """What went wrong with the start, and the end of what the process logged."""
        words = ""
        with contextlib.suppress(FileNotFoundError), self.log.open("rb") as log:
            log.seek(max(self._first_word, self.log.stat().st_size - _TAIL_BYTES))
            words = log.read().decode(errors="replace").strip()
        return f"{self._failure}; its last words:\n{words}"

    def describe(self, restarts: int) -> dict[str, Any]:
        """For the document's status."""
        return {
            "node": self.node.name,
            "replica": self.index,
            "pid": self.pid,
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
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._first_word = output.tell()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "headrace.serving.node",
                env=self._environment(metrics_port),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def _ready_in_time(self) -> bool:
        assert self._process is not None  # noqa: S101 - it was spawned just before
        ready = asyncio.create_task(self._probe())
        ended = asyncio.create_task(self._process.wait())
        try:
            done, _ = await asyncio.wait({ready, ended}, timeout=self._launch.ready_within, return_when=asyncio.FIRST_COMPLETED)
            return done == {ready} and ready.exception() is None
        finally:
            ready.cancel()
            ended.cancel()

    def _how_it_failed(self) -> str:
        code = self._process.returncode if self._process else None
        return f"it was not ready within {self._launch.ready_within:g} s" if code is None else f"it ended with code {code}"

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

        The wrapper's gRPC and debug servers would bind every interface, so they stay off.
        """
        return {
            **os.environ,
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

    def _sweep(self) -> None:
        """End what is left of the process's session; it leads one, so the group is its own."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _alive(pid: int | None) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] != "Z"


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
