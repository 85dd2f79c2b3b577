"""The embedded graph engine as a serving backend: the same documents and resource paths as on a Kubernetes API server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import httpx

from headrace.errors import DeploymentFailedError, InvalidSpecError, NotFoundError, UnavailableError
from headrace.ports.serving import Document
from headrace.render.seldon import Branch, root_name
from headrace.specs.canary import BranchFigures, CanaryFigures

_GROUP = "/apis/machinelearning.seldon.io/v1"
_POLL_SECONDS = 0.2


class GraphEngine:
    """Implements `ports.serving.ServingBackend` over the engine's HTTP interface.

    Args:
        url: the engine's address.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.Client(base_url=url, timeout=httpx.Timeout(30, connect=5), trust_env=False)

    def get(self, namespace: str, name: str) -> Document | None:
        """See the port."""
        found = self._resource(namespace, name)
        if found is None:
            return None
        return {key: value for key, value in found.items() if key != "status"}

    def apply(self, document: Document, *, timeout: timedelta) -> None:
        """See the port. After a failure the former document is the desired one again, too."""
        namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
        former = self.get(namespace, name)
        self._put(document)
        try:
            self._wait_live(namespace, name, timeout)
        except DeploymentFailedError:
            if former is None:
                self.delete(namespace, name)
            else:
                self._put(former)
            raise

    def _put(self, document: Document) -> None:
        namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
        reply = self._request("PUT", resource_path(namespace, name), json=document)
        _refuse(reply, f"the engine refused {namespace}/{name}")

    def _wait_live(self, namespace: str, name: str, timeout: timedelta) -> None:
        deadline = time.monotonic() + timeout.total_seconds()
        while time.monotonic() < deadline:
            status = (self._resource(namespace, name) or {}).get("status", {})
            if status.get("state") == "Failed":
                raise DeploymentFailedError(
                    f"the graph {namespace}/{name} did not become ready: {status.get('description')}", where=self._url
                )
            if status.get("state") == "Available" and status.get("digest") == status.get("desiredDigest"):
                return
            time.sleep(_POLL_SECONDS)
        raise DeploymentFailedError(
            f"the graph {namespace}/{name} did not become ready in {timeout.total_seconds():.0f} s",
            where=self._url,
            remedy="Look at `headrace logs serving` and the nodes' logs.",
        )

    def delete(self, namespace: str, name: str) -> None:
        """See the port."""
        reply = self._request("DELETE", resource_path(namespace, name))
        if reply.status_code != httpx.codes.NOT_FOUND:
            _refuse(reply, f"the engine refused to delete {namespace}/{name}")

    def endpoint(self, namespace: str, name: str) -> str:
        """See the port."""
        return f"{self._url}/seldon/{namespace}/{name}/api/v1.0/predictions"

    def figures(self, namespace: str, name: str) -> CanaryFigures:
        """See the port."""
        reply = self._request("GET", figures_path(namespace, name))
        if reply.status_code == httpx.codes.NOT_FOUND:
            return CanaryFigures()
        _refuse(reply, f"the engine refused to say what it counted of {namespace}/{name}")
        return figures_told(reply.json())

    def predict(self, namespace: str, name: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """See the port."""
        reply = self._request("POST", self.endpoint(namespace, name), json=message)
        if reply.status_code == httpx.codes.NOT_FOUND:
            raise NotFoundError(f"no graph {namespace}/{name} serves", where=self._url, remedy="Run its pipeline first.")
        _refuse(reply, f"the graph {namespace}/{name} refused the message")
        return cast(Mapping[str, Any], reply.json())

    def _resource(self, namespace: str, name: str) -> dict[str, Any] | None:
        reply = self._request("GET", resource_path(namespace, name))
        if reply.status_code == httpx.codes.NOT_FOUND:
            return None
        _refuse(reply, f"the engine refused to show {namespace}/{name}")
        return cast(dict[str, Any], reply.json())

    def _request(self, method: str, path: str, **body: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **body)
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"the serving engine does not answer: {error}", where=self._url, remedy="Start it with `headrace up`."
            ) from error


def resource_path(namespace: str, name: str) -> str:
    """Where an engine shows a graph's document."""
    return f"{_GROUP}/namespaces/{namespace}/seldondeployments/{name}"


def figures_path(namespace: str, name: str) -> str:
    """Where an engine says what it has counted of a graph's branches."""
    return f"{resource_path(namespace, name)}/figures"


def figures_told(content: Mapping[str, Any]) -> CanaryFigures:
    """What an engine says there; a branch that it does not name was never asked."""
    branches = {name: BranchFigures.model_validate(counted) for name, counted in content["branches"].items()}
    return CanaryFigures(
        former=branches.get(root_name(), BranchFigures()),
        new=branches.get(root_name(Branch.NEW), BranchFigures()),
        compared=content["compared"],
        agreed=content["agreed"],
    )


def _refuse(reply: httpx.Response, what: str) -> None:
    if reply.is_server_error:
        raise UnavailableError(f"{what}: {reply.text[:2000]}", where=str(reply.url))
    if reply.is_error:
        raise InvalidSpecError(f"{what}: {reply.text[:2000]}", where=str(reply.url))
