"""A namespace's ConfigMaps, listed and watched on the Kubernetes API server with the pod's own account.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from headrace.serving.engine.errors import KubernetesError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its account: `token`, which the kubelet renews, and `ca.crt`."""

_WATCH_SECONDS = 60
"""How long one watch lasts. A connection that died without a word is found out soon after."""
_SILENCE_SECONDS = 15.0
_LONGEST_EVENT_BYTES = 8 << 20
"""A ConfigMap may hold a mebibyte, and its JSON more."""

ConfigMap = Mapping[str, Any]


@dataclass(frozen=True)
class Event:
    """What happened to a ConfigMap: ADDED, MODIFIED or DELETED."""

    type: str
    config_map: ConfigMap


class ConfigMaps:
    """The ConfigMaps of a namespace that carry a label.

    Args:
        url: the API server's.
        account: the folder of the token and the certificate authority, both read anew for every request.
        namespace: whose they are.
        selector: the label, `key=value`.
    """

    def __init__(self, *, url: str, account: Path, namespace: str, selector: str) -> None:
        self._url = f"{url}/api/v1/namespaces/{namespace}/configmaps"
        self._account, self._selector = account, selector

    async def list(self) -> tuple[list[ConfigMap], str]:
        """All of them, and the version to watch from.

        Raises:
            KubernetesError: the API server refuses or does not answer.
        """
        timeout = aiohttp.ClientTimeout(total=_SILENCE_SECONDS)
        async with self._get({}, timeout) as reply:
            listing = json.loads(await reply.read())
            return listing["items"], listing["metadata"]["resourceVersion"]

    async def watch(self, version: str) -> AsyncGenerator[Event]:
        """What happens after a version, until the watch is over: they end by themselves, and list anew is what to do then.

        Raises:
            KubernetesError: the API server refuses, knows the version no more, or breaks off.
        """
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(_WATCH_SECONDS)}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_SILENCE_SECONDS, sock_read=_WATCH_SECONDS + _SILENCE_SECONDS)
        async with self._get(query, timeout) as reply:
            while line := await reply.content.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise KubernetesError(f"the watch was ended: {event['object'].get('message')}", where=self._url)
                yield Event(type=event["type"], config_map=event["object"])

    @asynccontextmanager
    async def _get(self, query: Mapping[str, str], timeout: aiohttp.ClientTimeout) -> AsyncIterator[aiohttp.ClientResponse]:
        async with (
            _in_words(self._url),
            aiohttp.ClientSession(connector=self._connector(), timeout=timeout, read_bufsize=_LONGEST_EVENT_BYTES) as session,
            session.get(self._url, params={"labelSelector": self._selector, **query}, headers=self._headers()) as reply,
        ):
            if reply.status != HTTPStatus.OK:
                raise await _refusal(reply, self._url)
            yield reply

    def _connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(self._account / "ca.crt")))

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {(self._account / 'token').read_text().strip()}"}


def api_server() -> str:
    """The API server's URL as a pod is told it.

    Raises:
        KubernetesError: this is no pod.
    """
    try:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    except KeyError as error:
        raise KubernetesError(
            f"the variable {error} is not set",
            where="the engine's environment",
            remedy="Run it in a pod with an account's token.",
        ) from error
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


@asynccontextmanager
async def _in_words(url: str) -> AsyncIterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:  # ValueError: what came is no JSON, or far too long
        raise KubernetesError(f"the API server does not answer: {error!r}", where=url) from error


async def _refusal(reply: aiohttp.ClientResponse, url: str) -> KubernetesError:
    remedy = ""
    if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        remedy = "Let the pod's ServiceAccount get, list and watch ConfigMaps in the namespace."
    return KubernetesError(f"the API server refused: {reply.status} {(await reply.text())[:500]}", where=url, remedy=remedy)
