"""What runs SeldonDeployment documents: Seldon Core on a cluster, headrace's graph engine on one machine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

from headrace.specs.canary import CanaryFigures

Document = Mapping[str, Any]
"""A SeldonDeployment (machinelearning.seldon.io/v1), as JSON-like data."""


class ServingBackend(Protocol):
    """Runs graphs. All methods may raise UnavailableError."""

    def get(self, namespace: str, name: str) -> Document | None:
        """The document that serves, or is about to, under this name, without its status; None when there is none."""
        ...

    def apply(self, document: Document, *, timeout: timedelta) -> None:
        """Make the document what serves, and return once it does. Applying the same one twice changes nothing.

        The graph that served before goes on until every replica of the new one is ready.

        Raises:
            DeploymentFailedError: it did not become ready in time; says which node and why. What served before still serves, and
                `get` says so.
        """
        ...

    def delete(self, namespace: str, name: str) -> None:
        """Stop serving the graph; deleting an absent one is not an error."""
        ...

    def endpoint(self, namespace: str, name: str) -> str:
        """The URL that answers `POST` with a Seldon message."""
        ...

    def figures(self, namespace: str, name: str) -> CanaryFigures:
        """What was counted of the two ensembles of a graph that tries one (`headrace.render.seldon.render_canary`).

        Counted by the processes that run the graph, all of them together, since they began to run this document; one that starts
        anew begins at nothing. Nothing is counted of a graph without a canary, or of none.

        Raises:
            UnavailableError: moreover, one of the processes that are asked does not say.
        """
        ...

    def predict(self, namespace: str, name: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask the graph (Seldon v1 REST protocol).

        Args:
            namespace: of the graph.
            name: of the graph.
            message: a Seldon message, e.g. `{"data": {"ndarray": [...]}}`.

        Raises:
            InvalidSpecError: the graph refused the message; carries the graph's own words.
            NotFoundError: no such graph.
        """
        ...
