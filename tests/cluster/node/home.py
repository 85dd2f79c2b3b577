"""Where the node keeps what it has: a cache that outlives clusters, and one cluster's own state."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_LONGEST_SOCKET_PATH = 107
_DEFAULT = ".cache/headrace/cluster"


class NodeError(Exception):
    """Something the node needs is not as it must be; the message says what, where and the remedy."""


@dataclass(frozen=True)
class Home:
    """Folders below one root. `run` and `volumes` are one cluster's and are removed with it; the rest is kept."""

    root: Path

    @classmethod
    def of_environment(cls) -> Home:
        """HEADRACE_CLUSTER_HOME, or ~/.cache/headrace/cluster."""
        named = os.environ.get("HEADRACE_CLUSTER_HOME")
        home = cls(Path(named or Path.home() / _DEFAULT).resolve())
        if len(str(home.containerd_socket)) + len(".ttrpc") > _LONGEST_SOCKET_PATH:
            raise NodeError(f"{home.root} is too long a path for sockets: set HEADRACE_CLUSTER_HOME to a shorter one")
        return home

    @property
    def bin(self) -> Path:
        """Programs, each file named by its version, with a link of the plain name."""
        return self.root / "bin"

    @property
    def images(self) -> Path:
        """What the stand-in images are built from."""
        return self.root / "images"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.root / "kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        """Where kubelet, dockerd and ctr reach containerd."""
        return self.root / "containerd.sock"

    @property
    def docker_socket(self) -> Path:
        """Where images are built."""
        return self.root / "docker.sock"

    @property
    def run(self) -> Path:
        """The present cluster's certificates, configuration, etcd, kubelet and logs."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """One file a component."""
        return self.root / "logs"

    @property
    def volumes(self) -> Path:
        """One folder a PersistentVolume."""
        return self.root / "volumes"

    def program(self, name: str) -> str:
        """The path of an installed program, as an argument."""
        return str(self.bin / name)
