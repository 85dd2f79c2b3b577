"""Seldon Core as the serving backend: graphs are SeldonDeployments, which its operator makes into Deployments and Services."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from kubernetes.client import ApiClient

from headrace.adapters.seldon.endpoint import Endpoint
from headrace.adapters.seldon.executors import Executors
from headrace.adapters.seldon.resources import SeldonDeployments, as_document, is_leaving
from headrace.adapters.seldon.watch import OperatorMissingError, Watch
from headrace.errors import DeploymentFailedError, HeadraceError, NotFoundError, UnavailableError
from headrace.ports.serving import Document
from headrace.specs.canary import CanaryFigures


class SeldonBackend:
    """Implements `ports.serving.ServingBackend` over the API server and the executor's endpoint.

    All methods may raise ForbiddenError as well: `SeldonDeployments`, `Watch` and `Diagnosis` name the rights they need.

    Args:
        client: of the cluster.
        url: below which an ingress serves `/seldon/<namespace>/<name>/…`; None inside the cluster, where the executor is asked
            at its Service.
    """

    def __init__(self, client: ApiClient, *, url: str | None = None) -> None:
        self._resources = SeldonDeployments(client)
        self._watch = Watch(client, self._resources)
        self._endpoint = Endpoint(url)
        self._executors = Executors(client)

    def get(self, namespace: str, name: str) -> Document | None:
        """See the port."""
        stored = self._resources.get(namespace, name)
        return None if stored is None or is_leaving(stored) else as_document(stored)

    def apply(self, document: Document, *, timeout: timedelta) -> None:
        """See the port. After a failure the former document is applied again and waited for, as long once more.

        Raises:
            UnavailableError: moreover, the cluster lacks Seldon's kind or its operator.
        """
        namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
        former = self.get(namespace, name)
        if former is None:
            self._watch.until_gone(namespace, name)
        self._resources.apply(document)
        try:
            self._watch.until_live(document, timeout)
        except OperatorMissingError:
            self._put_back(document, former)
            raise
        except DeploymentFailedError as failure:
            self._restore(document, former, timeout, failure)
            raise

    def delete(self, namespace: str, name: str) -> None:
        """See the port. Returns when everything is gone that was made of it, the last pod included."""
        self._resources.delete(namespace, name)
        self._watch.until_gone(namespace, name)

    def endpoint(self, namespace: str, name: str) -> str:
        """See the port."""
        return self._endpoint.address(namespace, name)

    def figures(self, namespace: str, name: str) -> CanaryFigures:
        """See the port, and `headrace.adapters.seldon.executor_metrics` for what these figures are worth."""
        return self._executors.figures(namespace, name)

    def predict(self, namespace: str, name: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """See the port."""
        try:
            return self._endpoint.ask(namespace, name, message)
        except UnavailableError as error:
            if self._resources.get(namespace, name) is not None:
                raise
            raise NotFoundError(f"no graph {namespace}/{name} serves", remedy="Run its pipeline first.") from error

    def _restore(self, document: Document, former: Document | None, timeout: timedelta, failure: DeploymentFailedError) -> None:
        try:
            self._put_back(document, former)
            if former is not None:
                self._watch.until_live(former, timeout)
        except HeadraceError as error:
            raise DeploymentFailedError(
                f"{failure.what}\nand what served before could not be brought back: {error}",
                where=failure.where,
                remedy=failure.remedy,
            ) from failure

    def _put_back(self, document: Document, former: Document | None) -> None:
        if former is None:
            self.delete(document["metadata"]["namespace"], document["metadata"]["name"])
        else:
            self._resources.apply(former)
