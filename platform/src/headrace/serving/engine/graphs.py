"""All graphs of one engine, by namespace and name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.serving.engine.document import Deployment
from headrace.serving.engine.errors import UnknownGraphError
from headrace.serving.engine.graph import Graph, GraphState
from headrace.serving.engine.replica import Launch
from headrace.serving.engine.state import DocumentStore

Key = tuple[str, str]


@dataclass(frozen=True)
class Refusal:
    """A document that cannot be run as it is written, and why. What served under its name goes on."""

    digest: str
    why: str


class Graphs:
    """The graphs, each with its documents kept in the store."""

    def __init__(self, launch: Launch, store: DocumentStore) -> None:
        self._launch, self._store = launch, store
        self._graphs: dict[Key, Graph] = {}
        self._refused: dict[Key, Refusal] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Graph]:
        """The graphs, oldest first."""
        return iter(list(self._graphs.values()))

    def restore(self) -> None:
        """Begin to bring back what was kept."""
        for kept in self._store.load():
            self._graphs[kept.desired.key] = Graph(kept.desired, self._launch, self._store, live=kept.live)

    def apply(self, deployment: Deployment, *, proven: Deployment | None = None) -> None:
        """Begin to make a document live (see `Graph.apply`)."""
        self._refused.pop(deployment.key, None)
        if graph := self._graphs.get(deployment.key):
            graph.apply(deployment, proven=proven)
        else:
            self._graphs[deployment.key] = Graph(deployment, self._launch, self._store, live=proven)

    def refuse(self, key: Key, refusal: Refusal) -> None:
        """Remember that what is desired under a name cannot be run."""
        self._refused[key] = refusal

    def remove(self, key: Key) -> asyncio.Task[None]:
        """Forget a graph and its documents at once. The task ends when its processes have: after its last request.

        Raises:
            UnknownGraphError: there is none, and none was refused.
        """
        if key not in self.keys():
            raise _unknown(key)
        self._refused.pop(key, None)
        self._store.delete(*key)
        stopping = asyncio.create_task(_stopped(self._graphs.pop(key, None)))
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)
        return stopping

    async def stop(self) -> None:
        """End every process."""
        await asyncio.gather(*(graph.stop() for graph in self._graphs.values()), *self._stopping)

    def find(self, key: Key) -> Graph:
        """The graph of that name.

        Raises:
            UnknownGraphError: there is none.
        """
        try:
            return self._graphs[key]
        except KeyError:
            raise _unknown(key) from None

    def keys(self) -> set[Key]:
        """All names under which a graph runs or a document was refused."""
        return self._graphs.keys() | self._refused.keys()

    def document(self, key: Key) -> dict[str, Any]:
        """What was applied under a name, with its status. Of a refused document, the status alone is shown.

        Raises:
            UnknownGraphError: nothing was.
        """
        refusal, graph = self._refused.get(key), self._graphs.get(key)
        if graph is None and refusal is None:
            raise _unknown(key)
        source: Mapping[str, Any] = graph.desired.source if graph else {"metadata": {"namespace": key[0], "name": key[1]}}
        status = graph.status() if graph else {"digest": None, "replicas": []}
        if refusal:
            status |= {"state": GraphState.FAILED.value, "description": refusal.why, "desiredDigest": refusal.digest}
        return {**source, "status": status}


async def _stopped(graph: Graph | None) -> None:
    if graph:
        await graph.stop()


def _unknown(key: Key) -> UnknownGraphError:
    return UnknownGraphError(f"no graph {'/'.join(key)}", remedy="GET / lists them.")
