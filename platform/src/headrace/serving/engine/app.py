"""The engine's HTTP edge: documents in Kubernetes' resource paths, predictions in Seldon's. It only translates."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
from aiohttp import ClientSession, TCPConnector, web

from headrace.serving.engine.document import parse
from headrace.serving.engine.errors import BadRequestError, EngineError, TooLargeError, UnknownGraphError
from headrace.serving.engine.generation import NodeRefusalError
from headrace.serving.engine.graph import Graph
from headrace.serving.engine.replica import Launch
from headrace.serving.engine.state import DocumentStore

GROUP = "/apis/machinelearning.seldon.io/v1"
ONE = f"{GROUP}/namespaces/{{namespace}}/seldondeployments/{{name}}"
PREDICTIONS = "/seldon/{namespace}/{name}/api/v1.0/predictions"
log = logging.getLogger(__name__)


class Engine:
    """All graphs of one engine."""

    def __init__(self, *, state: Path, logs: Path, ready_within: float) -> None:
        self._store, self._logs, self._ready_within = DocumentStore(state), logs, ready_within
        self._graphs: dict[tuple[str, str], Graph] = {}
        self._session: ClientSession | None = None

    def application(self, body_limit: int) -> web.Application:
        """The web application; the graphs live as long as it does."""
        application = web.Application(client_max_size=body_limit, middlewares=[_errors])
        application.cleanup_ctx.append(self._run)
        application.add_routes(
            [
                web.put(ONE, self.put),
                web.get(ONE, self.get),
                web.delete(ONE, self.delete),
                web.get(f"{GROUP}/seldondeployments", self.list),
                web.post(PREDICTIONS, self.predict),
                web.get("/live", self.live),
                web.get("/ready", self.live),
                web.get("/", self.endpoints),
            ]
        )
        return application

    async def put(self, request: web.Request) -> web.Response:
        """Apply a document."""
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        deployment = parse(_json(await request.read()), namespace=namespace, name=name)
        graph = self._graphs.setdefault(deployment.key, Graph(self._launch, self._store))
        graph.apply(deployment)
        return _reply(_document(graph, request))

    async def get(self, request: web.Request) -> web.Response:
        """A document with its status."""
        return _reply(_document(self._graph(request), request))

    async def delete(self, request: web.Request) -> web.Response:
        """Stop a graph and forget its document."""
        graph = self._graph(request)
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        self._store.delete(namespace, name)
        del self._graphs[namespace, name]
        await graph.stop()
        return _reply({"status": "Success"})

    async def list(self, request: web.Request) -> web.Response:
        """Every document."""
        return _reply({"items": [_document(graph, request) for graph in self._graphs.values()]})

    async def predict(self, request: web.Request) -> web.Response:
        """Seldon's prediction call. The reply carries the prediction's id, given by the caller or made here."""
        graph = self._graph(request)
        body = await _body(request)
        message = _json(body)
        puid = _puid(message, request)
        reply = _json(await graph.ask(body))
        reply.setdefault("meta", {})["puid"] = puid
        return _reply(reply, headers={"Seldon-Puid": puid})

    async def live(self, request: web.Request) -> web.Response:
        """The engine answers; each graph's readiness stands in its document."""
        del request
        return _reply({"status": "ok"})

    async def endpoints(self, request: web.Request) -> web.Response:
        """Where predictions are answered."""
        del request
        paths = [PREDICTIONS.format(namespace=namespace, name=name) for namespace, name in self._graphs]
        return _reply({"endpoints": paths})

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

    async def _run(self, application: web.Application) -> Any:
        """Restore what was kept, serve, and end every node before the engine ends."""
        del application
        # The wrapper's synchronous workers close each connection after its reply; a pool would only hold dead ones.
        self._session = ClientSession(connector=TCPConnector(limit=0, force_close=True), trust_env=False)
        restores = []
        for namespace, name, desired, live in self._store.load():
            graph = self._graphs[namespace, name] = Graph(self._launch, self._store)
            wanted = parse(desired, namespace=namespace, name=name)
            former = parse(live, namespace=namespace, name=name) if live else None
            restores.append(graph.restore(former, wanted))
        for restore in restores:
            await restore
        yield
        for graph in self._graphs.values():
            await graph.stop()
        await self._session.close()


def _document(graph: Graph, request: web.Request) -> dict[str, Any]:
    """What was applied, with its status; the address is under the host the caller used."""
    assert graph.desired is not None  # noqa: S101 - a graph is listed only once something was applied
    namespace, name = graph.desired.key
    url = f"{request.scheme}://{request.host}{PREDICTIONS.format(namespace=namespace, name=name)}"
    return {**graph.desired.source, "status": {**graph.status(), "address": {"url": url}}}


@web.middleware
async def _errors(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """Errors as Seldon status messages for predictions, as problem+json for documents."""
    prediction = request.path.startswith("/seldon/")
    try:
        return await handler(request)
    except NodeRefusalError as refusal:
        return web.Response(body=refusal.body, status=refusal.status, content_type="application/json")
    except EngineError as error:
        body = error.seldon_status() if prediction else error.problem()
        headers = {"Retry-After": "1"} if error.status == web.HTTPServiceUnavailable.status_code else {}
        return _reply(
            body, status=error.status, headers=headers, kind="application/json" if prediction else "application/problem+json"
        )
    except web.HTTPException as error:
        unknown = EngineError(f"{request.method} {request.path}: {error.reason}")
        unknown.status = error.status
        return _reply(unknown.seldon_status() if prediction else unknown.problem(), status=error.status)


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise TooLargeError("the body is over the limit", remedy="Send fewer rows a request.") from error


def _json(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON: {error}", remedy='Send {"data": {"ndarray": …}}.') from error
    if not isinstance(content, dict):
        raise BadRequestError("the body is not a JSON object", remedy='Send {"data": {"ndarray": …}}.')
    return content


def _puid(message: dict[str, Any], request: web.Request) -> str:
    meta = message.get("meta")
    given = meta.get("puid") if isinstance(meta, dict) else None
    return str(given or request.headers.get("Seldon-Puid") or secrets.token_hex(16))


def _reply(
    content: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None, kind: str = "application/json"
) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, headers=headers, content_type=kind)
