"""Engines that follow a namespace's documents: as the chart's pods, or as processes of this machine behind the same Service."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiClient

from cluster.installation import CHART, RELEASE
from cluster.kubectl import Kubectl
from cluster.parts.seldon_world import SECRET
from cluster.parts.step_world import ACCESS_KEY, SECRET_KEY
from cluster.programs import program
from graph_engine import Engine, running_engine
from headrace.adapters.engine_on_kubernetes.documents import DESIRED, LABEL, LIVE, PREFIX
from headrace.adapters.kubernetes.client import api_client
from serving.cutting_proxy import CuttingProxy, cutting_proxy
from waiting import wait_for

SERVICE = f"{RELEASE}-serving"
GRAPHS = f"{RELEASE}-graphs"
"""The chart's Role of whoever writes documents."""
_TEMPLATES = ("deployment", "service", "roles")
_KINDS = ("platform", "jobs", "serving", "mlflow", "logs")


@contextmanager
def engine_namespace(admin: Kubectl) -> Iterator[Kubectl]:
    """The administrator in a new namespace that admits restricted pods alone, and holds the keys of the store."""
    kubectl = admin.within(f"engine-{uuid.uuid4().hex[:6]}")
    kubectl("create", "namespace", kubectl.namespace)
    try:
        kubectl("label", "namespace", kubectl.namespace, "pod-security.kubernetes.io/enforce=restricted")
        keys = {"HEADRACE_MINIO__ACCESS_KEY": ACCESS_KEY, "HEADRACE_MINIO__SECRET_KEY": SECRET_KEY}
        kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": keys})
        yield kubectl
    finally:
        kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


def chart_objects(namespace: str, *settings: str, store: str = "store:9000") -> list[Any]:
    """What the chart makes of its serving part: the engine's Deployment, its Service, and who may do what."""
    values = ["minio.enabled=false", f"store.external.endpoint={store}", "store.external.secure=false"]
    values += [f"store.existingSecrets.{kind}={SECRET}" for kind in _KINDS]
    command = [str(program("helm")), "template", RELEASE, str(CHART), "--namespace", namespace, "--kube-version", "1.34.3"]
    command += [part for name in _TEMPLATES for part in ("--show-only", f"templates/serving/{name}.yaml")]
    command += [part for value in (*values, *settings) for part in ("--set", value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def client_of(kubeconfig: Path) -> ApiClient:
    """The platform's own client, as the kubeconfig's user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(kubeconfig))
        patch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        return api_client()


def config_map(document: Any, *, live: Any = None, content: str | None = None) -> dict[str, Any]:
    """A graph's ConfigMap as a person would write it; `content` in place of the document's JSON."""
    data = {DESIRED: json.dumps(document, indent=1) if content is None else content}
    if live is not None:
        data[LIVE] = json.dumps(live, indent=1)
    metadata = {"name": PREFIX + document["metadata"]["name"], "labels": LABEL}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


class LocalEngines:
    """Engines of this machine that follow a namespace with an account of the engine's rights, and are its Service's endpoints.

    Args:
        kubectl: the administrator, in the namespace.
        address: of this machine, which the API server takes for an endpoint's.
        folder: for the engines' own.
    """

    def __init__(self, kubectl: Kubectl, address: str, folder: Path, proxy: CuttingProxy) -> None:
        self._kubectl, self._address, self._folder = kubectl, address, folder
        self.proxy = proxy
        """Between the engines and the API server."""
        self._account = folder / "account"
        self._account.mkdir()
        (self._account / "ca.crt").write_bytes(_authority(kubectl))
        self._renew_token()
        self._count = 0

    @contextmanager
    def running(self, *options: str, announced: bool = True) -> Iterator[Engine]:
        """One more engine; an endpoint of the Service, if announced, as soon as it runs."""
        self._count += 1
        folder = self._folder / f"engine-{self._count}"
        folder.mkdir()
        host, port = self.proxy.address.split(":")
        environment = os.environ | {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        follow = ("--kubernetes-namespace", self._kubectl.namespace, "--kubernetes-account", str(self._account))
        space = {"host": self._address, "space": self._kubectl.namespace, "environment": environment}
        with running_engine(folder, *follow, *options, **space) as engine, ExitStack() as announcement:
            if announced:
                announcement.enter_context(self.announced(engine))
            yield engine

    @contextmanager
    def announced(self, engine: Engine, *, ready: bool = True) -> Iterator[None]:
        """An engine as an endpoint of the Service."""
        name = f"{SERVICE}-{engine.port}"
        self._kubectl.apply(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": name, "labels": {"kubernetes.io/service-name": SERVICE}},
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": engine.port, "protocol": "TCP"}],
                "endpoints": [{"addresses": [engine.host], "conditions": {"ready": ready}}],
            }
        )
        try:
            yield
        finally:
            self._kubectl("delete", "endpointslice", name, "--ignore-not-found")

    def _renew_token(self) -> None:
        (self._account / "token").write_text(self._kubectl("create", "token", SERVICE))


@contextmanager
def local_engines(kubectl: Kubectl, address: str, folder: Path) -> Iterator[LocalEngines]:
    """Everything but the engines themselves: the chart's account and rights, and a way to the API server that can be cut."""
    for document in chart_objects(kubectl.namespace):
        if document["kind"] in ("ServiceAccount", "Role", "RoleBinding"):
            kubectl.apply(document)
    with cutting_proxy(_api_server(kubectl)) as proxy:
        yield LocalEngines(kubectl, address, folder, proxy)


def rules_of(documents: Sequence[Any], role: str) -> Any:
    """The rules of one of the chart's Roles."""
    return next(each["rules"] for each in documents if (each["kind"], each["metadata"]["name"]) == ("Role", role))


def await_ready(engine: Engine, within: float = 90) -> None:
    """Return once the engine says that it has caught up."""
    wait_for(engine.ready, within, "the engine has caught up")


def _cluster(kubectl: Kubectl) -> Any:
    seen = yaml.safe_load(kubectl("config", "view", "--minify", "--flatten", "--raw"))
    return seen["clusters"][0]["cluster"]


def _api_server(kubectl: Kubectl) -> str:
    return str(_cluster(kubectl)["server"]).removeprefix("https://")


def _authority(kubectl: Kubectl) -> bytes:
    return base64.b64decode(_cluster(kubectl)["certificate-authority-data"])
