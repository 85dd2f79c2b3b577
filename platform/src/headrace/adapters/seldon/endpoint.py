"""The endpoint of a graph: Seldon's executor, asked at its Service inside the cluster, or through an ingress."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

import httpx

from headrace.errors import InvalidSpecError, NotFoundError, UnavailableError
from headrace.render.seldon import PREDICTOR

PORT = 8000
"""The executor's (the operator's EXECUTOR_SERVER_PORT)."""
_LABEL_LIMIT = 63
_ASK_AGAIN_SECONDS = 5.0
"""How long a replica that has just died may still be sent requests."""
_PAUSE_SECONDS = 0.25
_PATH = "/api/v1.0/predictions"
_UNREACHED = re.compile(r"(dial|read|write) tcp |\bEOF\b")
"""What the executor says of a node that it got no answer from; it does not ask another replica."""
_GATEWAYS = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)


class Endpoint:
    """Asks graphs. A connection serves one request: a kept one would outlast its pod's place in the Service.

    Args:
        url: of the ingress, or None inside the cluster.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url.rstrip("/") if url else None
        self._client = httpx.Client(
            timeout=httpx.Timeout(30, connect=5),
            transport=httpx.HTTPTransport(retries=3, limits=httpx.Limits(max_keepalive_connections=0)),
            trust_env=False,
        )

    def address(self, namespace: str, name: str) -> str:
        """The URL that answers predictions: below the ingress's, or the Service that the operator names after the graph."""
        if self._url:
            return f"{self._url}/seldon/{namespace}/{name}{_PATH}"
        return f"http://{service_name(name)}.{namespace}.svc:{PORT}{_PATH}"

    def ask(self, namespace: str, name: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a Seldon message, and once more while a node cannot be reached: a prediction changes nothing.

        Raises:
            InvalidSpecError: the graph refused the message.
            NotFoundError: the ingress knows no such graph.
            UnavailableError: there was no answer, or not a good one.
        """
        url = self.address(namespace, name)
        give_up = time.monotonic() + _ASK_AGAIN_SECONDS
        while _is_unreached(reply := self._post(url, message)) and time.monotonic() < give_up:
            time.sleep(_PAUSE_SECONDS)
        if reply.status_code == HTTPStatus.NOT_FOUND:
            raise NotFoundError(f"no graph {namespace}/{name} serves", where=url, remedy="Run its pipeline first.")
        if reply.is_server_error:
            raise UnavailableError(f"the graph {namespace}/{name} failed: {reply.text[:2000]}", where=url)
        if reply.is_error:
            raise InvalidSpecError(f"the graph {namespace}/{name} refused the message: {reply.text[:2000]}", where=url)
        return cast(Mapping[str, Any], reply.json())

    def _post(self, url: str, message: Mapping[str, Any]) -> httpx.Response:
        try:
            return self._client.post(url, json=message)
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"the graph's endpoint does not answer: {error}",
                where=url,
                remedy="Its Service answers inside the cluster only; elsewhere, set HEADRACE_SERVING_URL to an ingress's URL.",
            ) from error


def service_name(name: str) -> str:
    """The Service that the operator makes for a graph's predictor; a long name it replaces by its MD5."""
    key = f"{name}-{PREDICTOR}"
    if len(key) <= _LABEL_LIMIT:
        return key
    return f"seldon-{hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()}"


def _is_unreached(reply: httpx.Response) -> bool:
    if reply.status_code in _GATEWAYS:
        return True
    return reply.status_code == HTTPStatus.INTERNAL_SERVER_ERROR and bool(_UNREACHED.search(reply.text))
