"""kubectl as a few Python calls, for tests that look at a cluster as a person would."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from free_ports import free_ports


@dataclass(frozen=True)
class Kubectl:
    """Commands as one user, in one namespace."""

    program: Path
    kubeconfig: Path
    namespace: str

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run a command and return what it printed; its own words are in the error when it fails."""
        done = self._run(*arguments, stdin=stdin, timeout=timeout)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr.strip()}"
        return done.stdout

    def says(self, *arguments: str) -> str:
        """What a command prints whose exit code is an answer, too (`auth can-i`)."""
        return self._run(*arguments).stdout

    def get(self, *arguments: str) -> Any:
        """Objects as data: one when named, a list's items otherwise."""
        found = json.loads(self("get", *arguments, "-o", "json"))
        return found["items"] if found["kind"] == "List" else found

    def apply(self, document: Any) -> None:
        """Create or change an object."""
        self("apply", "-f", "-", stdin=json.dumps(document))

    def within(self, namespace: str) -> Kubectl:
        """The same user in another namespace."""
        return Kubectl(self.program, self.kubeconfig, namespace)

    @contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[str]:
        """A loopback address that reaches a port of `kind/name`, while the context lasts."""
        (local,) = free_ports(1)
        process = subprocess.Popen(
            self._command("port-forward", target, f"{local}:{port}"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            line = process.stdout.readline() if process.stdout else ""
            assert "Forwarding from" in line, f"port-forward {target}: {line}"
            yield f"127.0.0.1:{local}"
        finally:
            process.terminate()
            process.wait()

    def _run(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(*arguments), input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )

    def _command(self, *arguments: str) -> Sequence[str]:
        return [str(self.program), "--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace, *arguments]
