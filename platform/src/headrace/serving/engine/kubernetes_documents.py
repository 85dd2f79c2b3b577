"""Documents out of ConfigMaps: on a cluster without Seldon, every engine of a namespace serves what its ConfigMaps say.

A document's ConfigMap is named `graph-NAME`, is labelled, and holds under `document.json` what is to serve and under `live.json`
what is known to have served last. Whoever writes it keeps the second until the first has proved itself, so that an engine that
starts meanwhile has something to serve.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from contextlib import aclosing, suppress

from headrace.serving.engine.document import KIND, Deployment, digest_of, parse
from headrace.serving.engine.errors import DocumentError, KubernetesError, UnknownGraphError
from headrace.serving.engine.graphs import Graphs, Key, Refusal
from headrace.serving.engine.kubernetes_api import ConfigMap, ConfigMaps
from headrace.serving.engine.readiness import Readiness

SELECTOR = "headrace.dev/document=seldondeployment"
PREFIX = "graph-"
DESIRED, LIVE = "document.json", "live.json"
_FIRST_PAUSE_SECONDS, _LAST_PAUSE_SECONDS = 0.5, 15.0
_RETRY_SECONDS = 15.0
log = logging.getLogger(__name__)

Data = Mapping[str, str]
"""A ConfigMap's."""


class KubernetesDocuments:
    """Makes graphs follow the ConfigMaps of a namespace. While the API server is away they go on as they are."""

    def __init__(self, graphs: Graphs, config_maps: ConfigMaps, readiness: Readiness, *, namespace: str) -> None:
        self._graphs, self._config_maps, self._readiness = graphs, config_maps, readiness
        self._namespace = namespace
        self._seen: dict[Key, Data] = {}

    async def follow(self) -> None:
        """Follow for ever: list, watch, and list anew whenever the watch is over or lost."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._follow_once()
                pause = _FIRST_PAUSE_SECONDS
            except KubernetesError as error:
                pause = min(2 * pause, _LAST_PAUSE_SECONDS)
                log.warning("documents are not followed, next attempt in %g s: %s", pause, error)
            except Exception:  # what runs goes on, and so does following
                pause = _LAST_PAUSE_SECONDS
                log.exception("documents are not followed, next attempt in %g s", pause)
            await asyncio.sleep(pause)

    async def retry(self) -> None:
        """For ever, begin anew from time to time what failed here although it serves elsewhere."""
        while True:
            await asyncio.sleep(_RETRY_SECONDS)
            for graph in self._graphs:
                graph.retry()

    async def _follow_once(self) -> None:
        listed, version = await self._config_maps.list()
        self._replace({self._key(config_map): _data(config_map) for config_map in listed})
        async with aclosing(self._config_maps.watch(version)) as events:
            async for event in events:
                key = self._key(event.config_map)
                if event.type == "DELETED":
                    self._forget(key)
                else:
                    self._observe(key, _data(event.config_map))

    def _replace(self, listed: Mapping[Key, Data]) -> None:
        """Everything listed is desired, and nothing else."""
        for key, data in listed.items():
            self._observe(key, data)
        for key in self._graphs.keys() - listed.keys():
            self._forget(key)
        if not self._readiness.listed:
            log.info("%d documents in namespace %s", len(listed), self._namespace)
            self._readiness.listed = True

    def _observe(self, key: Key, data: Data) -> None:
        if self._seen.get(key) == data:
            return
        self._seen[key] = data
        desired = data.get(DESIRED, "")
        try:
            proven = self._parse_proven(data[LIVE], key) if LIVE in data else None
            self._graphs.apply(_parse(desired, key), proven=proven)
        except DocumentError as error:
            log.warning("%s/%s is refused: %s", *key, error)
            self._graphs.refuse(key, Refusal(digest=_digest(desired), why=str(error)))

    def _forget(self, key: Key) -> None:
        self._seen.pop(key, None)
        with suppress(UnknownGraphError):
            self._graphs.remove(key)

    def _key(self, config_map: ConfigMap) -> Key:
        """A graph's namespace and name. One that is not named as it should be can have no graph's name."""
        name = str(config_map["metadata"]["name"])
        return self._namespace, name.removeprefix(PREFIX) if name.startswith(PREFIX) else f"(ConfigMap {name})"

    def _parse_proven(self, content: str, key: Key) -> Deployment | None:
        try:
            return _parse(content, key)
        except DocumentError as error:
            log.warning("%s/%s: what served before cannot be read: %s", *key, error)
            return None


def _data(config_map: ConfigMap) -> Data:
    return config_map.get("data") or {}


def _parse(content: str, key: Key) -> Deployment:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"it is no JSON: {error}", where="/".join(key), remedy=f"Write a {KIND} under {DESIRED}.") from error
    return parse(document, namespace=key[0], name=key[1])


def _digest(content: str) -> str:
    """What identifies a document that may be anything: as `digest_of` does, where it has a spec."""
    try:
        return digest_of(json.loads(content)["spec"])
    except (ValueError, RecursionError, KeyError, TypeError):
        return hashlib.sha256(content.encode()).hexdigest()
