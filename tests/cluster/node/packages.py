"""Debian packages the node runs on."""

from __future__ import annotations

import os
import shutil

from cluster.node.home import NodeError
from cluster.node.progress import say
from cluster.node.shell import run, succeeds

PACKAGES = (
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "debootstrap",
    "docker.io",
    "iproute2",
    "iptables",
    "nftables",
    "runc",
    "socat",
)


def ensure_packages() -> None:
    """Install what is missing, as root, and say so. Their daemons are not wanted: the node starts its own."""
    if os.geteuid() != 0:
        raise NodeError("a Kubernetes node needs root: run this as root, or use your own cluster with CLUSTER=existing")
    if not shutil.which("dpkg-query"):
        raise NodeError("the test node is made from Debian's packages: run this on Debian or Ubuntu, or use CLUSTER=existing")
    missing = [name for name in PACKAGES if not _installed(name)]
    if not missing:
        return
    say(f"installing {', '.join(missing)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    run("apt-get", "update", "-q", within=300, env=environment)
    run("apt-get", "install", "-qy", "--no-install-recommends", *missing, within=900, env=environment)


def _installed(name: str) -> bool:
    return succeeds("dpkg-query", "--show", "--showformat=${Status}", name) and "install ok installed" in run(
        "dpkg-query", "--show", "--showformat=${Status}", name
    )
