"""A real MinIO server for tests: a fresh folder, a free port of the loopback; it can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider

from free_ports import free_ports
from headrace.adapters.parent_death import die_with_parent
from waiting import wait_for

READY_WITHIN_SECONDS = 30


class MinioServer:
    """A server over a folder. Its administrator is `tester`."""

    access_key, secret_key = "tester", "tester-secret"

    def __init__(self, binary: Path, folder: Path) -> None:
        (port,) = free_ports(1)
        self.endpoint = f"127.0.0.1:{port}"
        self._binary, self._folder = binary, folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it serves."""
        environment = os.environ | {
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_BROWSER": "off",
            "HOME": str(self._folder),
        }
        with (self._folder / "server.log").open("a") as output:
            self._process = subprocess.Popen(
                [self._binary, "server", "--quiet", "--address", self.endpoint, self._folder / "data"],
                env=environment,
                stdout=output,
                stderr=output,
                cwd="/",
                preexec_fn=die_with_parent,  # noqa: PLW1509 - started before other threads matter
            )
        wait_for(self._ready, READY_WITHIN_SECONDS, "MinIO is ready")

    def kill(self) -> None:
        """Kill it as a crash would: it tidies nothing."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def client(self) -> Minio:
        """A client with all rights."""
        return Minio(self.endpoint, access_key=self.access_key, secret_key=self.secret_key, secure=False)

    def add_user(self, name: str, statements: list[dict[str, Any]]) -> str:
        """Add a user who may do what the policy's statements allow, and return the password."""
        password = secrets.token_hex(10)
        admin = MinioAdmin(endpoint=self.endpoint, credentials=StaticProvider(self.access_key, self.secret_key), secure=False)
        admin.user_add(name, password)
        admin.policy_add(name, policy={"Version": "2012-10-17", "Statement": statements})
        admin.attach_policy([name], user=name)
        return password

    def unfinished_uploads(self) -> list[Path]:
        """Folders of multipart uploads that were neither completed nor called off."""
        return [path.parent for path in (self._folder / "data" / ".minio.sys" / "multipart").rglob("xl.meta")]

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "server.log").read_text()
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://{self.endpoint}/minio/health/ready", trust_env=False).is_success
        return False


@contextmanager
def minio_server(binary: Path) -> Iterator[MinioServer]:
    """Run a server; it dies with this process."""
    with tempfile.TemporaryDirectory(prefix="headrace-minio-", ignore_cleanup_errors=True) as folder:
        server = MinioServer(binary, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()
