"""The engine's HTTP edge: documents in Kubernetes' resource paths, predictions in Seldon's. It only translates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector, web

from headrace.serving.engine.document import KIND, parse
from headrace.serving.engine.errors import EngineError, UnknownGraphError
from headrace.serving.engine.graph import Graph
from headrace.serving.engine.replica import Launch
from headrace.serving.engine.state import DocumentStore
from headrace.serving.engine.wire import (
    PREDICTIONS_PREFIX,
    PUID_HEADER,
    errors_in_words,
    json_reply,
    parse_object,
    prediction_id,
    read_body,
    with_id,
)

API_VERSION = "machinelearning.seldon.io/v1"
ALL = f"/apis/{API_VERSION}/seldondeployments"
ONE = f"/apis/{API_VERSION}/namespaces/{{namespace}}/seldondeployments/{{name}}"
PREDICTIONS = f"{PREDICTIONS_PREFIX}{{namespace}}/{{name}}/api/v1.0/predictions"


class Engine:
    """All graphs of one engine."""

    def __init__(self, *, state: Path, logs: Path, ready_within: float) -> None:
        self._store, self._logs, self._ready_within = DocumentStore(state), logs, ready_within
        self._graphs: dict[tuple[str, str], Graph] = {}
        self._session: ClientSession | None = None

    def application(self, body_limit: int) -> web.Application:
        """The web application; the graphs live as long as it does."""
        application = web.Application(client_max_size=body_limit, middlewares=[errors_in_words])
        application.cleanup_ctx.append(self._run)
        application.add_routes(
            [
                web.put(ONE, self.put),
                web.get(ONE, self.get),
                web.delete(ONE, self.delete),
                web.get(ALL, self.list),
                web.post(PREDICTIONS, self.predict),
                web.get("/live", self.live),
                web.get("/ready", self.live),
                web.get("/", self.endpoints),
            ]
        )
        return application

    async def put(self, request: web.Request) -> web.Response:
        """Apply a document."""
        content = parse_object(await read_body(request), remedy=f"Send a {KIND}.")
        deployment = parse(content, namespace=request.match_info["namespace"], name=request.match_info["name"])
        graph = self._graphs.get(deployment.key)
        if graph is None:
            graph = self._graphs[deployment.key] = Graph(deployment, self._launch, self._store)
        else:
            graph.apply(deployment)
        return json_reply(_document(graph, request))

    async def get(self, request: web.Request) -> web.Response:
        """A document with its status."""
        return json_reply(_document(self._graph(request), request))

    async def delete(self, request: web.Request) -> web.Response:
        """Stop a graph and forget its document."""
        graph = self._graph(request)
        self._store.delete(*graph.desired.key)
        del self._graphs[graph.desired.key]
        await graph.stop()
        return json_reply({"status": "Success"})

    async def list(self, request: web.Request) -> web.Response:
        """Every document."""
        items = [_document(graph, request) for graph in self._graphs.values()]
        return json_reply({"apiVersion": API_VERSION, "kind": f"{KIND}List", "items": items})

    async def predict(self, request: web.Request) -> web.Response:
        """Seldon's prediction call. The reply carries the prediction's id, given by the caller or made here."""
        graph = self._graph(request)
        body = await read_body(request)
        puid = prediction_id(parse_object(body), request.headers)
        return json_reply(with_id(await graph.ask(body), puid), headers={PUID_HEADER: puid})

    async def live(self, request: web.Request) -> web.Response:
        """The engine answers; each graph's readiness stands in its document."""
        del request
        return json_reply({"status": "ok"})

    async def endpoints(self, request: web.Request) -> web.Response:
        """Where predictions are answered."""
        del request
        paths = [PREDICTIONS.format(namespace=namespace, name=name) for namespace, name in self._graphs]
        return json_reply({"endpoints": paths})

    def _graph(self, request: web.Request) -> Graph:
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        try:
            return self._graphs[namespace, name]
        except KeyError:
            raise UnknownGraphError(f"no graph {namespace}/{name}", remedy="GET / lists them.") from None

    @property
    def _launch(self) -> Launch:
        if self._session is None:
            raise EngineError("the engine is not running")
        return Launch(log_folder=self._logs, ready_within=self._ready_within, session=self._session)

    async def _run(self, application: web.Application) -> AsyncIterator[None]:
        """Restore what was kept, serve, and end every node before the engine ends."""
        del application
        # The wrapper's synchronous workers close each connection after its reply; a pool would only hold dead ones.
        self._session = ClientSession(connector=TCPConnector(limit=0, force_close=True), trust_env=False)
        for kept in self._store.load():
            self._graphs[kept.desired.key] = Graph(kept.desired, self._launch, self._store, live=kept.live)
        yield
        await asyncio.gather(*(graph.stop() for graph in self._graphs.values()))
        await self._session.close()


def _document(graph: Graph, request: web.Request) -> dict[str, Any]:
    """What was applied, with its status; the address is under the host the caller used."""
    namespace, name = graph.desired.key
    url = f"{request.scheme}://{request.host}{PREDICTIONS.format(namespace=namespace, name=name)}"
    return {**graph.desired.source, "status": {**graph.status(), "address": {"url": url}}}
