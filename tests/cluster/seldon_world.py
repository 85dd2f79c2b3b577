"""What graphs on a cluster work with: a namespace, published models on a real MinIO, and the cluster's names seen from here."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api

from cluster.step_world import ACCESS_KEY, SECRET_KEY
from fakes_promotion import FakeRegistry
from headrace.adapters.minio_store import MinioStore
from headrace.config import MinioSettings
from headrace.render.seldon import ClusterTarget, ServingTarget
from headrace.specs.serving import EnsembleSpec, NodeResources, SlotMember
from headrace.specs.training import Candidate
from headrace.usecases.publish import publish
from serving.conftest import write_model

MODEL = "shoes"
SECRET = "store"
IMAGE = "headrace/serving:0.1.0"
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
    """A small one."""
    return EnsembleSpec(name=name, model=MODEL, **{**SMALL, **options})


def target(namespace: str, endpoint: str, **options: Any) -> ServingTarget:
    """The cluster, as the platform's settings would describe it."""
    store = {"HEADRACE_MINIO__ENDPOINT": endpoint, "HEADRACE_MINIO__SECURE": "false"}
    return ServingTarget(
        namespace=namespace, cluster=ClusterTarget(store=store, secrets=(SECRET,)), **{"image": IMAGE, **options}
    )


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
