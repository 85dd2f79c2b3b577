"""The documents that engines follow: a ConfigMap for each graph, with what is desired and what is known to have served last."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from kubernetes.client import ApiClient, CoreV1Api, V1ConfigMap, V1ObjectMeta
from kubernetes.client.exceptions import ApiException

from headrace.adapters.kubernetes.client import translated_errors
from headrace.errors import InvalidSpecError
from headrace.ports.serving import Document

# As the engine reads them; the serving environment imports nothing of the platform.
LABEL = {"headrace.dev/document": "seldondeployment"}
PREFIX = "graph-"
DESIRED, LIVE = "document.json", "live.json"


@dataclass(frozen=True)
class Kept:
    """A graph's documents. An engine that starts while `desired` is bad serves `live`."""

    desired: Document
    live: Document | None
    version: str | None = field(default=None, compare=False)
    """What was read or written; None for what is to be created."""


class EngineDocuments:
    """ConfigMaps as documents. All methods may raise UnavailableError and ForbiddenError.

    Rights: get, create, update and delete on `configmaps` in the graphs' namespace.

    Args:
        client: of the cluster.
    """

    def __init__(self, client: ApiClient) -> None:
        self._api = CoreV1Api(client)

    def get(self, namespace: str, name: str) -> Kept | None:
        """What is kept of a graph; None when nothing is.

        Raises:
            InvalidSpecError: somebody wrote what is no document.
        """
        with translated_errors(f"cannot read the document of {namespace}/{name}"):
            try:
                found = self._api.read_namespaced_config_map(PREFIX + name, namespace)
            except ApiException as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    return None
                raise
        return _kept(found)

    def write(self, kept: Kept) -> Kept:
        """Make it what is kept.

        Raises:
            UnavailableError: somebody else has written since it was read.
        """
        metadata = kept.desired["metadata"]
        namespace, name = metadata["namespace"], PREFIX + metadata["name"]
        content = {DESIRED: _text(kept.desired), **({LIVE: _text(kept.live)} if kept.live else {})}
        labels = {**LABEL, "app.kubernetes.io/managed-by": "headrace"}
        body = V1ConfigMap(metadata=V1ObjectMeta(name=name, labels=labels, resource_version=kept.version), data=content)
        with translated_errors(f"cannot write the document of {namespace}/{metadata['name']}"):
            if kept.version is None:
                written = self._api.create_namespaced_config_map(namespace, body)
            else:
                written = self._api.replace_namespaced_config_map(name, namespace, body)
        return replace(kept, version=written.metadata.resource_version)

    def delete(self, namespace: str, name: str) -> None:
        """Forget a graph; an absent one is not an error."""
        with translated_errors(f"cannot delete the document of {namespace}/{name}"):
            try:
                self._api.delete_namespaced_config_map(PREFIX + name, namespace)
            except ApiException as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise


def _text(document: Document) -> str:
    return json.dumps(document, sort_keys=True)


def _kept(found: V1ConfigMap) -> Kept:
    data = found.data or {}
    try:
        live = json.loads(data[LIVE]) if LIVE in data else None
        return Kept(desired=json.loads(data[DESIRED]), live=live, version=found.metadata.resource_version)
    except (KeyError, ValueError) as error:
        raise InvalidSpecError(
            f"it holds no document: {error}",
            where=f"ConfigMap {found.metadata.namespace}/{found.metadata.name}",
            remedy="Delete it, and run the graph's pipeline again.",
        ) from error
