"""One named graph over time: what is desired, what is live, and the rollout from one to the other."""

from __future__ import annotations

import asyncio
import logging
from enum import StrEnum
from typing import Any

from headrace.serving.engine.document import Deployment
from headrace.serving.engine.errors import NotReadyError, RolloutError
from headrace.serving.engine.generation import Generation
from headrace.serving.engine.replica import Launch
from headrace.serving.engine.state import DocumentStore

log = logging.getLogger(__name__)


class GraphState(StrEnum):
    """Of the desired document, in Seldon's words."""

    CREATING = "Creating"
    AVAILABLE = "Available"
    FAILED = "Failed"


class Graph:
    """A graph under a name. The newest desire wins; what is live goes on until its successor is ready."""

    def __init__(self, launch: Launch, store: DocumentStore) -> None:
        self._launch, self._store = launch, store
        self._live: Generation | None = None
        self._desired: Deployment | None = None
        self._state = GraphState.CREATING
        self._description = ""
        self._rollout: asyncio.Task[None] | None = None
        self._draining: set[asyncio.Task[None]] = set()

    @property
    def desired(self) -> Deployment | None:
        """What was applied last."""
        return self._desired

    def apply(self, deployment: Deployment) -> None:
        """Begin to make the document live; applying what is desired already changes nothing, unless it failed."""
        former, self._desired = self._desired, deployment
        if former and former.digest == deployment.digest and self._state is not GraphState.FAILED:
            self._save()
            return
        if self._rollout:
            self._rollout.cancel()
        if self._live and self._live.deployment.digest == deployment.digest:
            self._state, self._description = GraphState.AVAILABLE, ""
        else:
            self._state, self._description = GraphState.CREATING, "starting the nodes"
            self._rollout = asyncio.create_task(self._roll(deployment, after=self._rollout))
        self._save()

    async def restore(self, live: Deployment | None, desired: Deployment) -> None:
        """After the engine's own restart: first what was live, so that there is something to fall back on, then the desired."""
        if live is not None and live.digest != desired.digest:
            self.apply(live)
            if self._rollout:
                await asyncio.wait({self._rollout})
        self.apply(desired)

    async def ask(self, message: bytes) -> bytes:
        """Send a message through the live generation (see `Generation.ask`).

        Raises:
            NotReadyError: nothing is live yet.
        """
        if self._live is None:
            raise NotReadyError("the graph is not ready", remedy=self._description)
        return await self._live.ask(message)

    async def stop(self) -> None:
        """End everything that runs for this graph."""
        if self._rollout:
            self._rollout.cancel()
            await asyncio.wait({self._rollout})
        if self._live:
            live, self._live = self._live, None
            await live.drain()
            await live.stop()
        if self._draining:
            await asyncio.wait(self._draining)

    def status(self) -> dict[str, Any]:
        """The document's status. `digest` is the live spec's, `desiredDigest` the desired one's."""
        return {
            "state": self._state.value,
            "description": self._description,
            "digest": self._live.deployment.digest if self._live else None,
            "desiredDigest": self._desired.digest if self._desired else None,
            "replicas": self._live.describe() if self._live else [],
        }

    async def _roll(self, deployment: Deployment, after: asyncio.Task[None] | None) -> None:
        if after:
            await asyncio.wait({after})
        generation = Generation(deployment, self._launch)
        try:
            await generation.start()
        except asyncio.CancelledError:
            await generation.stop()
            raise
        except RolloutError as error:
            self._state, self._description = GraphState.FAILED, str(error)
            log.warning("%s/%s: %s", deployment.namespace, deployment.name, error)
            return
        former, self._live = self._live, generation
        self._state, self._description = GraphState.AVAILABLE, ""
        self._save()
        if former:
            task = asyncio.create_task(_retire(former))
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)

    def _save(self) -> None:
        if self._desired:
            live = self._live.deployment.source if self._live else None
            self._store.save(*self._desired.key, desired=self._desired.source, live=live)


async def _retire(generation: Generation) -> None:
    await generation.drain()
    await generation.stop()
