"""The engines of a namespace, each asked for itself: behind their Service one cannot tell which of them answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from kubernetes.client import ApiClient, DiscoveryV1Api, V1EndpointSlice

from headrace.adapters.graph_engine import figures_path, figures_told, resource_path
from headrace.adapters.kubernetes.client import translated_errors
from headrace.errors import UnavailableError
from headrace.specs.canary import CanaryFigures


@dataclass(frozen=True)
class EnginePod:
    """An engine that runs, or is about to."""

    name: str
    url: str
    ready: bool
    """Whether it is sent requests."""


@dataclass(frozen=True)
class Report:
    """What an engine says of a graph.

    Attributes:
        pod: the engine.
        status: of the graph's document there; None when it has none.
        silence: why the engine could not be asked; empty when it could.
    """

    pod: EnginePod
    status: Mapping[str, Any] | None = None
    silence: str = ""

    def serves(self, digest: str) -> bool:
        """Whether the graph with that digest is live there."""
        return self._state_of(digest) == "Available" and self.status is not None and self.status.get("digest") == digest

    def has_failed(self, digest: str) -> bool:
        """Whether it could not be made live there."""
        return self._state_of(digest) == "Failed"

    def __str__(self) -> str:
        """Where the engine stands, in words."""
        if self.silence:
            return f"{self.pod.name} does not answer at {self.pod.url}: {self.silence}"
        if self.status is None:
            return f"{self.pod.name} has not read the document yet"
        return f"{self.pod.name}: {self.status.get('state')} {self.status.get('description', '')}".rstrip()

    def _state_of(self, digest: str) -> str | None:
        status = self.status or {}
        return status.get("state") if status.get("desiredDigest") == digest else None


class EnginePods:
    """The pods behind the engine's Service. All methods may raise UnavailableError and ForbiddenError.

    Rights: list on `endpointslices.discovery.k8s.io` in the graphs' namespace.

    Args:
        client: of the cluster.
        service: the engine's, in the graphs' namespace.
    """

    def __init__(self, client: ApiClient, service: str) -> None:
        self.service = service
        self._api = DiscoveryV1Api(client)
        self._client = httpx.Client(timeout=httpx.Timeout(10, connect=2), trust_env=False)

    def reports(self, namespace: str, name: str) -> list[Report]:
        """What every engine says of a graph; ending ones are left out."""
        return [self._ask(pod, namespace, name) for pod in self._list(namespace)]

    def figures(self, namespace: str, name: str) -> CanaryFigures:
        """What all engines together have counted of a graph's canary.

        Raises:
            UnavailableError: one that is sent requests does not say.
        """
        return sum((self._figures(pod, namespace, name) for pod in self._list(namespace) if pod.ready), CanaryFigures())

    def _figures(self, pod: EnginePod, namespace: str, name: str) -> CanaryFigures:
        try:
            reply = self._client.get(pod.url + figures_path(namespace, name))
            if reply.status_code == httpx.codes.NOT_FOUND:
                return CanaryFigures()
            return figures_told(reply.raise_for_status().json())
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise UnavailableError(
                f"the engine {pod.name} does not say what it counted of {namespace}/{name}: {error}", where=pod.url
            ) from error

    def _list(self, namespace: str) -> list[EnginePod]:
        selector = f"kubernetes.io/service-name={self.service}"
        with translated_errors(f"cannot list the pods of Service {namespace}/{self.service}"):
            slices = self._api.list_namespaced_endpoint_slice(namespace, label_selector=selector).items
        found = {pod.name: pod for each in slices for pod in _pods(each)}  # of several address families, one will do
        return sorted(found.values(), key=lambda pod: pod.name)

    def _ask(self, pod: EnginePod, namespace: str, name: str) -> Report:
        try:
            reply = self._client.get(pod.url + resource_path(namespace, name))
            if reply.status_code == httpx.codes.NOT_FOUND:
                return Report(pod)
            return Report(pod, status=reply.raise_for_status().json()["status"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            return Report(pod, silence=str(error) or type(error).__name__)


def _pods(slice_: V1EndpointSlice) -> Iterator[EnginePod]:
    port = slice_.ports[0].port if slice_.ports else None
    for endpoint in slice_.endpoints or []:
        if port is None or endpoint.conditions.terminating:
            continue
        (address, *_) = endpoint.addresses
        host = f"[{address}]" if slice_.address_type == "IPv6" else address
        name = endpoint.target_ref.name if endpoint.target_ref else f"{host}:{port}"
        yield EnginePod(name=name, url=f"http://{host}:{port}", ready=bool(endpoint.conditions.ready))
