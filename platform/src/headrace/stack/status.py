"""How the stack is: every part, and every endpoint the serving engine has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from headrace.stack.health import examine
from headrace.stack.lifecycle import Stack
from headrace.stack.loopback import fetch
from headrace.stack.memory import tree_pss_bytes
from headrace.stack.part import Part, PartState
from headrace.stack.supervisor import Process

_DEPLOYMENTS = "/apis/machinelearning.seldon.io/v1/seldondeployments"
_OK = 200


@dataclass(frozen=True)
class PartStatus:
    """One part as it is now.

    Args:
        memory_bytes: PSS of its process tree; 0 when it does not run.
        since: when its present process started; None when it does not run.
        detail: why it is not running, when it is not.
    """

    name: str
    state: PartState
    url: str
    version: str
    memory_bytes: int
    since: datetime | None
    detail: str


@dataclass(frozen=True)
class Endpoint:
    """What the engine serves.

    Args:
        name: the deployment's.
        namespace: the deployment's.
        url: where predictions are asked for.
        state: the SeldonDeployment's own word.
    """

    name: str
    namespace: str
    url: str
    state: str


@dataclass(frozen=True)
class StackStatus:
    """The whole stack as it is now."""

    parts: tuple[PartStatus, ...]
    endpoints: tuple[Endpoint, ...]


def look(stack: Stack) -> StackStatus:
    """Look at every part and endpoint; never fails because one of them is down."""
    processes = stack.supervisor.processes()
    with ThreadPoolExecutor(max_workers=len(stack.assembly.parts)) as pool:
        parts = tuple(pool.map(lambda part: _part_status(part, processes.get(part.name)), stack.assembly.parts))
    return StackStatus(parts=parts, endpoints=endpoints(stack.settings.serving()) if processes else ())


def endpoints(serving_url: str) -> tuple[Endpoint, ...]:
    """What the engine at this address serves; nothing when it does not answer."""
    try:
        status, body = fetch(serving_url + _DEPLOYMENTS)
    except OSError:
        return ()
    if status != _OK:
        return ()
    return tuple(_endpoint(item, serving_url) for item in json.loads(body)["items"])


def _part_status(part: Part, process: Process | None) -> PartStatus:
    health = examine(part, process)
    lives = process is not None and process.pid > 0
    return PartStatus(
        name=part.name,
        state=health.state,
        url=part.url,
        version=part.version(),
        memory_bytes=tree_pss_bytes(process.pid) if process and lives else 0,
        since=process.since if process and lives else None,
        detail=health.reason,
    )


def _endpoint(item: Mapping[str, Any], serving_url: str) -> Endpoint:
    namespace, name = item["metadata"].get("namespace", "default"), item["metadata"]["name"]
    status = item.get("status", {})
    address = status.get("address", {}).get("url") or f"{serving_url}/seldon/{namespace}/{name}/api/v1.0/predictions"
    return Endpoint(name=name, namespace=namespace, url=address, state=status.get("state", ""))
