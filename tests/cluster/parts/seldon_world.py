"""What graphs on a cluster work with: a namespace, published models on a real MinIO, and the cluster's names seen from here."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient, AppsV1Api, CoreV1Api, V1Deployment, V1Pod

from cluster.kubectl import Kubectl
from cluster.parts.step_world import ACCESS_KEY, SECRET_KEY, minio_server, node_address
from cluster.programs import TAG
from fakes_promotion import FakeRegistry
from headrace.adapters.kubernetes.client import api_client
from headrace.adapters.minio_store import MinioStore
from headrace.adapters.seldon.backend import SeldonBackend
from headrace.config import MinioSettings
from headrace.ports.serving import Document
from headrace.render.seldon import ClusterTarget, ServingTarget, render_deployment
from headrace.specs.serving import EnsembleSpec, NodeResources, SlotMember
from headrace.specs.training import Candidate
from headrace.usecases.publish import publish
from serving.conftest import write_model

MODEL = "shoes"
SECRET = "store"
IMAGE = f"headrace/serving:{TAG}"
SMALL = {
    "resources": NodeResources(cpu="20m", memory="512Mi"),
    "executor_resources": NodeResources(cpu="20m", memory="128Mi"),
}
"""A node of the test cluster is small and shared."""


class Models:
    """Versions of one registered model, published to a store that pods reach.

    Args:
        endpoint: of a MinIO server.
        folder: for what is fetched.
    """

    def __init__(self, endpoint: str, folder: Path) -> None:
        settings = MinioSettings(endpoint=endpoint, access_key=ACCESS_KEY, secret_key=SECRET_KEY)
        self.endpoint = endpoint
        self.registry, self.store = FakeRegistry(), MinioStore(settings, cache=folder)

    def make(self, name: str, *, golden_error: float = 0.0) -> Candidate:
        """Register a small real model; with a golden error it refuses to start."""
        version = self.registry.register(
            model=MODEL, model_uri=f"models:/m-{name}", run_id=f"run-{name}", description="", tags={}
        ).version
        with tempfile.TemporaryDirectory() as folder:
            write_model(Path(folder) / "model", version, golden_error=golden_error)
            self.registry.files[MODEL, version] = {path.name: path.read_bytes() for path in Path(folder, "model").iterdir()}
        return Candidate(member=name, model=MODEL, version=version, run_id=f"run-{name}", metrics={})

    def published(self, *candidates: Candidate) -> list[SlotMember]:
        """The candidates as slots."""
        return [
            publish(MODEL, candidate.version, slot=slot, registry=self.registry, store=self.store)
            for slot, candidate in enumerate(candidates, start=1)
        ]


def ensemble(name: str, **options: Any) -> EnsembleSpec:
    """A small one, of one replica a node."""
    return EnsembleSpec(name=name, model=MODEL, **{**SMALL, "replicas": 1, **options})


def target(namespace: str, endpoint: str) -> ServingTarget:
    """The cluster, as the platform's settings would describe it. Nothing is pulled: images are in the cluster, or nowhere."""
    store = {"HEADRACE_MINIO__ENDPOINT": endpoint, "HEADRACE_MINIO__SECURE": "false"}
    cluster = ClusterTarget(pull_policy="Never", store=store, secrets=(SECRET,))
    return ServingTarget(namespace=namespace, image=IMAGE, cluster=cluster)


@dataclass(frozen=True)
class Graph:
    """A graph under test."""

    backend: SeldonBackend
    client: ApiClient
    place: ServingTarget
    name: str

    def document(self, members: Sequence[SlotMember], **options: Any) -> dict[str, Any]:
        """The graph over these models."""
        return render_deployment(ensemble(self.name, **options), members, self.place)

    def apply(self, document: Document, *, within: timedelta = timedelta(minutes=4)) -> None:
        """Make it serve that."""
        self.backend.apply(document, timeout=within)

    def shown(self) -> Document | None:
        """What serves."""
        return self.backend.get(self.place.namespace, self.name)

    def predict(self, rows: Sequence[Any]) -> Mapping[str, Any]:
        """Ask the executor."""
        return self.backend.predict(self.place.namespace, self.name, {"data": {"ndarray": rows}})

    def delete(self) -> None:
        """End it."""
        self.backend.delete(self.place.namespace, self.name)

    def deployments(self) -> dict[str, V1Deployment]:
        """What was made of it, by node."""
        found = AppsV1Api(self.client).list_namespaced_deployment(self.place.namespace, label_selector=self._selector)
        return {each.spec.template.spec.containers[0].name: each for each in found.items}

    def pods(self) -> list[V1Pod]:
        """Those that are to stay."""
        found = CoreV1Api(self.client).list_namespaced_pod(self.place.namespace, label_selector=self._selector)
        return [pod for pod in found.items if pod.metadata.deletion_timestamp is None]

    @property
    def _selector(self) -> str:
        return f"seldon-deployment-id={self.name}"


@contextmanager
def cluster_names(client: ApiClient, patch: Any) -> Iterator[None]:
    """Let this process find Services by name, as a pod does; their addresses it reaches, being on the node."""
    core, resolve = CoreV1Api(client), socket.getaddrinfo

    def resolve_services(host: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(host, str) and host.endswith(".svc"):
            name, namespace, _ = host.split(".")
            services = {each.metadata.name: each.spec.cluster_ip for each in core.list_namespaced_service(namespace).items}
            if name not in services:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            host = services[name]
        return resolve(host, *arguments, **options)

    patch.setattr(socket, "getaddrinfo", resolve_services)
    yield


@contextmanager
def models_in_store(kubectl: Kubectl, minio_program: Path, folder: Path) -> Iterator[Models]:
    """A registry and a MinIO that the cluster's pods reach, while the context lasts; both keep their files in the folder."""
    with minio_server(minio_program, folder / "minio", node_address(kubectl)) as server:
        yield Models(server.endpoint, folder / "cache")


def client_of(user: Kubectl) -> ApiClient:
    """A client of the cluster with the user's rights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(user.kubeconfig))
        patch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        return api_client()
