"""What a step in a pod works with, outside the cluster: a MinIO server on the node's address, and raw files to download there."""

from __future__ import annotations

import functools
import http.server
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from builders import pipeline
from cluster.kubectl import Kubectl
from free_ports import free_ports
from headrace.specs.dataset import DatasetSpec
from headrace.specs.step import IngestStep
from idx_files import dataset_spec, raw_content, write_raw
from waiting import wait_for

ACCESS_KEY, SECRET_KEY = "headrace", "headrace-secret"


def keep_store_keys(kubectl: Kubectl) -> None:
    """The store's keys as the Secret `store`, as pods are handed them."""
    keys = {"HEADRACE_MINIO__ACCESS_KEY": ACCESS_KEY, "HEADRACE_MINIO__SECRET_KEY": SECRET_KEY}
    kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "store"}, "stringData": keys})


def node_address(kubectl: Kubectl) -> str:
    """Where pods reach this machine, which is the node."""
    (node, *_) = kubectl.get("nodes")
    return next(each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP")


class Minio:
    """A running server; `stopped` holds it still, as a network that has gone would."""

    def __init__(self, process: subprocess.Popen[bytes], endpoint: str) -> None:
        self._process = process
        self.endpoint = endpoint

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It answers nothing while the context lasts."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def minio_server(program: Path, folder: Path, address: str) -> Iterator[Minio]:
    """Run a real MinIO on an address that pods reach."""
    (port,) = free_ports(1)
    environment = os.environ | {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY, "MINIO_BROWSER": "off"}
    command = [str(program), "server", "--quiet", "--address", f"{address}:{port}", str(folder)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    minio = Minio(process, f"{address}:{port}")
    try:
        wait_for(lambda: _alive(minio.endpoint), 60, "MinIO is up")
        yield minio
    finally:
        process.terminate()
        process.wait(10)


def _alive(endpoint: str) -> bool:
    try:
        return httpx.get(f"http://{endpoint}/minio/health/live", trust_env=False).is_success
    except httpx.TransportError:
        return False


class Download:
    """An HTTP server of a folder of raw files, which may be told to be very slow."""

    def __init__(self, server: http.server.ThreadingHTTPServer, gate: threading.Event, folder: Path) -> None:
        self._gate = gate
        self.folder = folder
        self.url = f"http://{server.server_address[0]}:{server.server_address[1]}/"

    @contextmanager
    def held(self) -> Iterator[None]:
        """No download that began in it ends before the context does."""
        self._gate.clear()
        try:
            yield
        finally:
            self._gate.set()

    def offer(self, *, name: str, train_rows: int = 120, **changes: Any) -> DatasetSpec:
        """Write the files of a dataset, and return the spec that has them downloaded from here."""
        content = raw_content(train_rows) if train_rows != 120 else raw_content()
        write_raw(self.folder, content)
        small = {"resources": {"cpu": "20m", "memory": "400Mi"}}
        return dataset_spec(content, name=name, source={"path": None, "download": self.url}, **(small | changes))


@contextmanager
def download_server(folder: Path, address: str) -> Iterator[Download]:
    """Serve a folder on an address that pods reach."""
    gate = threading.Event()
    gate.set()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def copyfile(self, source: Any, outputfile: Any) -> None:
            while not gate.wait(timeout=1):
                outputfile.write(source.read(1))  # so that nobody's patience ends
            super().copyfile(source, outputfile)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer((address, 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Download(server, gate, folder)
    finally:
        gate.set()
        server.shutdown()
        server.server_close()


def ingest_step(dataset: DatasetSpec, *, run: str = "manual__1") -> IngestStep:
    """The step that ingests it."""
    return IngestStep(pipeline=pipeline(dataset=dataset), run=run)
