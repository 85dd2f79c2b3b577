"""One named graph over time: what is desired, what is live, and the rollout from one to the other."""

from __future__ import annotations

import asyncio
import logging
from enum import StrEnum
from typing import Any

from headrace.serving.engine.document import Deployment
from headrace.serving.engine.errors import NotReadyError, RolloutError
from headrace.serving.engine.generation import Answer, Generation
from headrace.serving.engine.replica import Launch
from headrace.serving.engine.state import DocumentStore, Kept

log = logging.getLogger(__name__)


class GraphState(StrEnum):
    """Of the desired document, in Seldon's words."""

    CREATING = "Creating"
    AVAILABLE = "Available"
    FAILED = "Failed"


class Graph:
    """A graph under a name. The newest desire wins; what is live goes on until its successor is ready.

    Args:
        desired: what is to serve; kept in the store before anything is done about it.
        live: what is known to have served, if anything: by this engine before its restart, or by another one of the same
            documents. It is brought back first, to have something to fall back on.
    """

    def __init__(self, desired: Deployment, launch: Launch, store: DocumentStore, live: Deployment | None = None) -> None:
        self.desired = desired
        self._launch, self._store = launch, store
        self._last_live = self._proven = live
        self._live: Generation | None = None
        self._state, self._description = GraphState.CREATING, ""
        self._rollout: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._save()
        self._begin(desired)

    @property
    def settled(self) -> bool:
        """Whether the desired document is live or has failed."""
        return self._state is not GraphState.CREATING

    @property
    def owes(self) -> bool:
        """Whether it is known to have served, and does not serve here."""
        return self._live is None and self._proven is not None

    def apply(self, deployment: Deployment, *, proven: Deployment | None = None) -> None:
        """Begin to make the document live; applying what is desired already changes nothing, unless it failed.

        Args:
            deployment: what is to serve.
            proven: what is known to have served elsewhere, if anything.
        """
        former, self.desired = self.desired, deployment
        self._proven = proven or self._proven
        if self._live is None:
            self._last_live = self._proven
        self._save()
        if former.digest == deployment.digest and self._state is not GraphState.FAILED:
            self._relabel()
        else:
            self._begin(deployment)

    def retry(self) -> None:
        """Begin anew what failed here although it is known to serve elsewhere: then the cause lies here, and may have passed."""
        proven = self._proven
        if self._state is GraphState.FAILED and proven and (self._live is None or proven.digest == self.desired.digest):
            self._begin(self.desired)

    async def ask(self, message: bytes) -> Answer:
        """Send a message through the live generation (see `Generation.ask`).

        Raises:
            NotReadyError: nothing is live yet.
        """
        if self._live is None:
            raise NotReadyError("the graph is not ready", where="/".join(self.desired.key), remedy=self._description)
        return await self._live.ask(message)

    async def stop(self) -> None:
        """End everything that runs for this graph."""
        if self._rollout:
            self._rollout.cancel()
            await asyncio.wait({self._rollout})
        if self._live:
            live, self._live = self._live, None
            await _retire(live)
        if self._retiring:
            await asyncio.wait(self._retiring)

    def status(self) -> dict[str, Any]:
        """The document's status. `digest` is the live spec's, `desiredDigest` the desired one's."""
        return {
            "state": self._state.value,
            "description": self._description,
            "digest": self._live.deployment.digest if self._live else None,
            "desiredDigest": self.desired.digest,
            "replicas": self._live.describe() if self._live else [],
        }

    def figures(self) -> dict[str, Any]:
        """What the live generation has counted of its branches since it began; `digest` is its spec's."""
        if self._live is None:
            return {"digest": None, "branches": {}, "compared": 0, "agreed": 0}
        return {"digest": self._live.deployment.digest, **self._live.meter.figures()}

    def _begin(self, deployment: Deployment) -> None:
        if self._rollout:
            self._rollout.cancel()
        if self._live and self._live.deployment.digest == deployment.digest:
            self._state, self._description = GraphState.AVAILABLE, ""
            self._relabel()
        else:
            self._state, self._description = GraphState.CREATING, "starting the nodes"
            log.info("%s/%s: starting %s", *deployment.key, deployment.digest)
            self._rollout = asyncio.create_task(self._roll(deployment, after=self._rollout))

    async def _roll(self, deployment: Deployment, after: asyncio.Task[None] | None) -> None:
        """Make a document live, or say why it is not. Never raises, but for its own cancellation."""
        if after:
            await asyncio.wait({after})
        try:
            await self._bring_back_last_live(deployment)
            await self._replace_live(deployment)
        except RolloutError as error:
            self._fail(str(error))
        except Exception as error:  # an engine that ends here would end every other graph
            log.exception("%s/%s", *deployment.key)
            self._fail(f"the engine could not start it: {error!r}")
        else:
            self._state, self._description = GraphState.AVAILABLE, ""

    async def _bring_back_last_live(self, deployment: Deployment) -> None:
        """After the engine's own restart, start what served before, unless that is what is to start anyway."""
        last = self._last_live
        if self._live or last is None or last.digest == deployment.digest:
            return
        try:
            await self._replace_live(last)
        except RolloutError as error:
            log.warning("%s/%s: what served before does not start any more: %s", *last.key, error)

    async def _replace_live(self, deployment: Deployment) -> None:
        generation = Generation(deployment, self._launch, self._live)
        await generation.start()
        former, self._live = self._live, generation
        log.info("%s/%s: %s is live", *deployment.key, deployment.digest)
        self._last_live = deployment
        self._relabel()
        self._save()
        if former:
            retiring = asyncio.create_task(_retire(former))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)

    def _relabel(self) -> None:
        """Let what is live follow the desired document's metadata, where their specs are equal."""
        if self._live and self._live.deployment.digest == self.desired.digest:
            self._live.deployment = self._last_live = self.desired

    def _fail(self, why: str) -> None:
        self._state, self._description = GraphState.FAILED, why
        log.warning("%s/%s: %s", *self.desired.key, why)

    def _save(self) -> None:
        self._store.save(Kept(desired=self.desired, live=self._last_live))


async def _retire(generation: Generation) -> None:
    await generation.drain()
    await generation.stop()
