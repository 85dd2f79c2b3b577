"""The engine in pods as the serving backend: a document is written once, and every engine makes it live by itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from kubernetes.client import ApiClient

from headrace.adapters.engine_on_kubernetes.documents import EngineDocuments, Kept
from headrace.adapters.engine_on_kubernetes.pods import EnginePods, Report
from headrace.adapters.seldon.endpoint import Endpoint
from headrace.errors import DeploymentFailedError, HeadraceError, UnavailableError
from headrace.ports.serving import Document
from headrace.render.seldon import document_digest
from headrace.specs.canary import CanaryFigures

_POLL_SECONDS = 0.5
_NOBODY_SECONDS = 20.0
"""How long there may be no engine at all: the time that a Deployment takes to replace its only pod."""
_GONE_SECONDS = 30.0
log = logging.getLogger(__name__)


class EngineOnKubernetes:
    """Implements `ports.serving.ServingBackend` over the API server, the engines themselves, and their Service.

    All methods may raise ForbiddenError as well: `EngineDocuments` and `EnginePods` name the rights they need. Engines that come
    and go meanwhile do no harm: a new one is not sent requests before it serves everything.

    Args:
        client: of the cluster.
        service: the engines', in the graphs' namespace.
        url: below which the Service, or an ingress before it, serves `/seldon/<namespace>/<name>/…`.
    """

    def __init__(self, client: ApiClient, *, service: str, url: str) -> None:
        self._documents, self._pods = EngineDocuments(client), EnginePods(client, service)
        self._endpoint = Endpoint(url)

    def get(self, namespace: str, name: str) -> Document | None:
        """See the port."""
        kept = self._documents.get(namespace, name)
        return kept.desired if kept else None

    def apply(self, document: Document, *, timeout: timedelta) -> None:
        """See the port. After a failure the former document is the desired one again, and is waited for, as long once more.

        Raises:
            UnavailableError: moreover, there is no engine.
        """
        former = self._documents.get(document["metadata"]["namespace"], document["metadata"]["name"])
        wanted = Kept(desired=document, live=former.live if former else None, version=former.version if former else None)
        written = former if wanted == former else self._documents.write(wanted)
        try:
            self._wait_served(document, timeout)
        except (DeploymentFailedError, UnavailableError) as failure:
            self._restore(written, former, timeout, failure)
            raise
        if written.live != document:
            self._documents.write(replace(written, live=document))

    def delete(self, namespace: str, name: str) -> None:
        """See the port. Returns when no engine serves it any more, or says which one is late."""
        self._documents.delete(namespace, name)
        deadline = time.monotonic() + _GONE_SECONDS
        while late := [report.pod.name for report in self._pods.reports(namespace, name) if report.status is not None]:
            if time.monotonic() > deadline:
                log.warning("%s/%s is deleted, and still served by %s", namespace, name, ", ".join(late))
                return
            time.sleep(_POLL_SECONDS)

    def endpoint(self, namespace: str, name: str) -> str:
        """See the port."""
        return self._endpoint.address(namespace, name)

    def figures(self, namespace: str, name: str) -> CanaryFigures:
        """See the port. Those of engines that have ended are lost."""
        return self._pods.figures(namespace, name)

    def predict(self, namespace: str, name: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """See the port."""
        return self._endpoint.ask(namespace, name, message)

    def _wait_served(self, document: Document, timeout: timedelta) -> None:
        """Return once every engine that is sent requests serves the document, and every one that answers does, too."""
        metadata, digest = document["metadata"], document_digest(document)
        began = seen = time.monotonic()
        while True:
            reports = self._pods.reports(metadata["namespace"], metadata["name"])
            now = time.monotonic()
            seen = now if reports else seen
            self._raise_if_hopeless(document, reports, nobody_for=now - seen)
            asked = [report for report in reports if report.pod.ready or not report.silence]
            if any(report.pod.ready for report in reports) and all(report.serves(digest) for report in asked):
                return
            if now - began > timeout.total_seconds():
                raise _failure(
                    document, f"in {timeout.total_seconds():.0f} s", [each for each in reports if not each.serves(digest)]
                )
            time.sleep(_POLL_SECONDS)

    def _raise_if_hopeless(self, document: Document, reports: Sequence[Report], *, nobody_for: float) -> None:
        digest = document_digest(document)
        if failed := [report for report in reports if report.has_failed(digest)]:
            raise _failure(document, "", failed)
        if nobody_for > _NOBODY_SECONDS:
            namespace = document["metadata"]["namespace"]
            raise UnavailableError(
                "no engine runs that could serve the graph",
                where=f"Service {namespace}/{self._pods.service}",
                remedy="Install the chart with serving.backend=engine and look at the pods of its serving Deployment; "
                "HEADRACE_KUBERNETES__ENGINE_SERVICE names the Service.",
            )

    def _restore(self, written: Kept, former: Kept | None, timeout: timedelta, failure: HeadraceError) -> None:
        """Put back what served before: what is known to have served, rather than what was only desired."""
        metadata = written.desired["metadata"]
        try:
            if former is None:
                self.delete(metadata["namespace"], metadata["name"])
                return
            back = former.live or former.desired
            if back == written.desired:
                return
            self._documents.write(replace(written, desired=back))
            if isinstance(failure, DeploymentFailedError):
                self._wait_served(back, timeout)
        except HeadraceError as error:
            raise type(failure)(
                f"{failure.what}\nand what served before could not be brought back: {error}",
                where=failure.where,
                remedy=failure.remedy,
            ) from failure


def _failure(document: Document, when: str, reports: Sequence[Report]) -> DeploymentFailedError:
    metadata = document["metadata"]
    stands = "\n".join(map(str, reports)) or "no engine is ready"
    return DeploymentFailedError(
        f"the graph {metadata['namespace']}/{metadata['name']} did not become ready {when}".rstrip() + f": {stands}",
        where=f"pods of {metadata['namespace']}",
        remedy="Look at the engine pods' logs.",
    )
