"""The executors of a graph: each pod of its root has one, and each tells by itself what it has counted."""

from __future__ import annotations

import httpx
from kubernetes.client import ApiClient, CoreV1Api, V1Pod

from headrace.adapters.kubernetes.client import translated_errors
from headrace.adapters.seldon.endpoint import PORT
from headrace.adapters.seldon.executor_metrics import Tally, figures, read_tally
from headrace.errors import UnavailableError
from headrace.specs.canary import CanaryFigures

CONTAINER = "seldon-container-engine"
"""The executor's, in the pods of a graph's root."""
_GRAPH = "seldon-deployment-id"
"""The operator's label: the graph's name."""
_PATH = "/prometheus"


class Executors:
    """Asks executors for their metrics, at their pods' addresses: inside the cluster only, and without any right to `pods/proxy`.

    Rights: list on `pods` in the graphs' namespace.

    Args:
        client: of the cluster.
    """

    def __init__(self, client: ApiClient) -> None:
        self._api = CoreV1Api(client)
        self._client = httpx.Client(timeout=httpx.Timeout(10, connect=2), trust_env=False)

    def figures(self, namespace: str, name: str) -> CanaryFigures:
        """What all executors of a graph have counted together since their pods began.

        Raises:
            UnavailableError: one does not answer.
            ForbiddenError: the account must not list pods.
        """
        return figures(sum((self._tally(pod) for pod in self._pods(namespace, name)), Tally()))

    def _pods(self, namespace: str, name: str) -> list[V1Pod]:
        with translated_errors(f"cannot list the pods of {namespace}/{name}"):
            pods = self._api.list_namespaced_pod(namespace, label_selector=f"{_GRAPH}={name}").items
        return [pod for pod in pods if _runs_executor(pod)]

    def _tally(self, pod: V1Pod) -> Tally:
        host = f"[{pod.status.pod_ip}]" if ":" in pod.status.pod_ip else pod.status.pod_ip
        url = f"http://{host}:{PORT}{_PATH}"
        try:
            return read_tally(self._client.get(url).raise_for_status().text)
        except (httpx.HTTPError, ValueError) as error:
            raise UnavailableError(
                f"the executor in pod {pod.metadata.name} does not say what it counted: {error}",
                where=url,
                remedy="Pods answer inside the cluster only: leave it to the platform's own reconciliation, or go there.",
            ) from error


def _runs_executor(pod: V1Pod) -> bool:
    """Whether it is a root's, is there, and is not about to end: one that ends has stopped to listen."""
    named = any(container.name == CONTAINER for container in pod.spec.containers)
    return named and bool(pod.status.pod_ip) and pod.metadata.deletion_timestamp is None
