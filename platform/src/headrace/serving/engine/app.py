"""The engine's HTTP edge: documents in Kubernetes' resource paths, predictions in Seldon's. It only translates."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from headrace.serving.engine.document import KIND, parse
from headrace.serving.engine.errors import ReadOnlyError
from headrace.serving.engine.graphs import Graphs, Key
from headrace.serving.engine.readiness import Readiness
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
FIGURES = f"{ONE}/figures"
PREDICTIONS = f"{PREDICTIONS_PREFIX}{{namespace}}/{{name}}/api/v1.0/predictions"


class Edge:
    """The engine's HTTP interface.

    Args:
        graphs: what it speaks for.
        readiness: whether it should be sent requests.
        writable: whether documents are applied and deleted here; otherwise they come from elsewhere, and are only shown.
    """

    def __init__(self, graphs: Graphs, readiness: Readiness, *, writable: bool) -> None:
        self._graphs, self._readiness, self._writable = graphs, readiness, writable

    def application(self, body_limit: int) -> web.Application:
        """The web application."""
        application = web.Application(client_max_size=body_limit, middlewares=[errors_in_words])
        application.on_response_prepare.append(self._send_away)
        application.add_routes(
            [
                web.put(ONE, self.put),
                web.get(ONE, self.get),
                web.delete(ONE, self.delete),
                web.get(ALL, self.list),
                web.get(FIGURES, self.figures),
                web.post(PREDICTIONS, self.predict),
                web.get("/live", self.live),
                web.get("/ready", self.ready),
                web.get("/", self.endpoints),
            ]
        )
        return application

    async def put(self, request: web.Request) -> web.Response:
        """Apply a document."""
        self._check_writable()
        content = parse_object(await read_body(request), remedy=f"Send a {KIND}.")
        deployment = parse(content, namespace=request.match_info["namespace"], name=request.match_info["name"])
        self._graphs.apply(deployment)
        return json_reply(self._document(deployment.key, request))

    async def get(self, request: web.Request) -> web.Response:
        """A document with its status."""
        return json_reply(self._document(_key(request), request))

    async def delete(self, request: web.Request) -> web.Response:
        """Stop a graph and forget its document."""
        self._check_writable()
        await asyncio.wait({self._graphs.remove(_key(request))})
        return json_reply({"status": "Success"})

    async def list(self, request: web.Request) -> web.Response:
        """Every document."""
        items = [self._document(key, request) for key in sorted(self._graphs.keys())]
        return json_reply({"apiVersion": API_VERSION, "kind": f"{KIND}List", "items": items})

    async def figures(self, request: web.Request) -> web.Response:
        """What was counted of a graph's branches: by branch its requests, errors, and the seconds that answers took together."""
        return json_reply(self._graphs.find(_key(request)).figures())

    async def predict(self, request: web.Request) -> web.Response:
        """Seldon's prediction call. The reply carries the prediction's id, given by the caller or made here."""
        graph = self._graphs.find(_key(request))
        body = await read_body(request)
        puid = prediction_id(parse_object(body), request.headers)
        return json_reply(with_id(await graph.ask(body), puid), headers={PUID_HEADER: puid})

    async def live(self, request: web.Request) -> web.Response:
        """The engine answers."""
        del request
        return json_reply({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """Whether the engine should be sent requests; each graph's own readiness stands in its document."""
        del request
        if why := self._readiness.why_not():
            return json_reply({"status": "not ready", "why": why}, status=503)
        return json_reply({"status": "ok"})

    async def endpoints(self, request: web.Request) -> web.Response:
        """Where predictions are answered."""
        del request
        paths = [PREDICTIONS.format(namespace=namespace, name=name) for namespace, name in sorted(self._graphs.keys())]
        return json_reply({"endpoints": paths})

    async def _send_away(self, request: web.Request, response: web.StreamResponse) -> None:
        """An engine that is about to end keeps no connection open: the caller's next one goes to another."""
        del request
        if self._readiness.leaving:
            response.headers["Connection"] = "close"
            response.force_close()

    def _check_writable(self) -> None:
        if not self._writable:
            raise ReadOnlyError("documents are not changed here", remedy="They are this namespace's ConfigMaps: change those.")

    def _document(self, key: Key, request: web.Request) -> dict[str, Any]:
        """What was applied, with its status; the address is under the host the caller used."""
        document = self._graphs.document(key)
        url = f"{request.scheme}://{request.host}{PREDICTIONS.format(namespace=key[0], name=key[1])}"
        return {**document, "status": {**document["status"], "address": {"url": url}}}


def _key(request: web.Request) -> Key:
    return request.match_info["namespace"], request.match_info["name"]
