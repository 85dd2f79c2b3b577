"""Asynchronous requests to a Kubernetes API server, for processes that follow many objects at once.

Objects are plain JSON: the client library's models take milliseconds each to build, and they would be the event loop's.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any

import aiohttp
from kubernetes.client.exceptions import ApiException
from kubernetes_asyncio import config
from kubernetes_asyncio.client import ApiClient, Configuration

from headrace.adapters.kubernetes.client import TIMEOUT_SECONDS, translated_errors
from headrace.errors import InvalidSpecError, UnavailableError

_CONNECT, _READ = TIMEOUT_SECONDS
REQUEST = aiohttp.ClientTimeout(connect=_CONNECT, sock_read=_READ)
STREAM = aiohttp.ClientTimeout(connect=_CONNECT, sock_read=120)
"""After so much silence a stream is taken for dead: half-open connections do not say so."""
MERGE_PATCH = "application/merge-patch+json"
Object = dict[str, Any]
Query = Sequence[tuple[str, str]]


@asynccontextmanager
async def open_api_server(context: str | None = None) -> AsyncIterator[ApiServer]:
    """Requests to the cluster, until the context ends.

    Args:
        context: see `adapters.kubernetes.client.api_client`.

    Raises:
        InvalidSpecError: there is no usable kubeconfig, or no such context in it.
    """
    settings = Configuration()
    try:
        if context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
        else:
            file = os.environ.get("KUBECONFIG")
            await config.load_kube_config(config_file=file, context=context, client_configuration=settings)
    except config.ConfigException as error:
        raise InvalidSpecError(
            f"no way to the Kubernetes API server: {error}",
            where=f"context {context or '(current)'}",
            remedy="Set KUBECONFIG to a kubeconfig, and HEADRACE_KUBERNETES__CONTEXT to one of its contexts.",
        ) from error
    async with ApiClient(settings) as client:
        yield ApiServer(client)


class ApiServer:
    """Requests to one API server. They raise what `adapters.kubernetes.client.translated_errors` says."""

    def __init__(self, client: ApiClient) -> None:
        """Use the client's address and credentials."""
        self._client = client

    async def get(self, path: str, *, query: Query = ()) -> Object:
        """Read an object or a list."""
        return await self._json("GET", path, query=query) or {}

    async def create(self, path: str, body: Object) -> Object | None:
        """Create an object below a collection's path; None when there is one of that name."""
        return await self._json("POST", path, body=body, accept=(HTTPStatus.CONFLICT,))

    async def patch(self, path: str, body: Object) -> Object:
        """Merge into an object, and return it."""
        return await self._json("PATCH", path, body=body, content_type=MERGE_PATCH) or {}

    async def delete(self, path: str, *, preconditions: Object) -> bool:
        """Delete an object, its dependents first; False when the preconditions do not hold any more."""
        body = {"propagationPolicy": "Foreground", "preconditions": preconditions}
        accept = (HTTPStatus.CONFLICT,)
        return await self._json("DELETE", path, body=body, accept=accept) is not None

    async def lines(self, path: str, *, query: Query = ()) -> AsyncGenerator[str]:
        """Read a text as it comes, line by line."""
        with translated_errors(f"cannot read {path}"), _network_errors(path):
            response = await self._send("GET", path, query=query, timeout=STREAM)
            try:
                await _check(response)
                rest = b""
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line.decode(errors="replace")
                if rest:
                    yield rest.decode(errors="replace")
            finally:
                response.close()

    async def _json(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: Object | None = None,
        content_type: str = "application/json",
        accept: Collection[int] = (),
    ) -> Object | None:
        """The answer, None for a refusal whose status is one of `accept`."""
        with translated_errors(f"cannot {method} {path}"), _network_errors(path):
            response = await self._send(method, path, query=query, body=body, content_type=content_type)
            async with response:
                if response.status in accept:
                    return None
                await _check(response)
                answer: Object = json.loads(await response.read())
                return answer

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Query,
        body: Object | None = None,
        content_type: str = "application/json",
        timeout: aiohttp.ClientTimeout = REQUEST,
    ) -> aiohttp.ClientResponse:
        response: aiohttp.ClientResponse = await self._client.call_api(
            path,
            method,
            query_params=list(query),
            header_params={"Content-Type": content_type, "Accept": "application/json, */*"},
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=timeout,
        )
        return response


@contextmanager
def _network_errors(path: str) -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UnavailableError(
            f"the Kubernetes API server does not answer: {error!r}", where=path, remedy="Look at the cluster, then try again."
        ) from error


async def _check(response: aiohttp.ClientResponse) -> None:
    if response.status >= HTTPStatus.BAD_REQUEST:
        error = ApiException(status=response.status, reason=response.reason)
        error.body = await response.text()
        raise error
