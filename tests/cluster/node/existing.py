"""CLUSTER=existing: the tests' cluster is the kubeconfig's current context; nothing is started there and nothing ended."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from cluster.node.home import NodeError
from cluster.node.progress import say
from cluster.node.shell import run


def check() -> None:
    """The cluster answers, and claims without a class get a volume."""
    nodes = run("kubectl", "get", "nodes")
    default = r'jsonpath={.items[?(@.metadata.annotations.storageclass\.kubernetes\.io/is-default-class=="true")].metadata.name}'
    if not run("kubectl", "get", "storageclasses", f"--output={default}").strip():
        raise NodeError(f"{_context()} has no default StorageClass, which the chart's PostgreSQL and MinIO need")
    say(f"{_context()} is used as it is:\n{nodes}")


def load(tags: Sequence[str]) -> None:
    """Put images of the local docker into kind or k3d; elsewhere only their owner knows the registry."""
    tool, _, cluster = _context().partition("-")
    if tool == "kind" and shutil.which("kind"):
        run("kind", "load", "docker-image", f"--name={cluster}", *tags, within=1200)
    elif tool == "k3d" and shutil.which("k3d"):
        run("k3d", "image", "import", f"--cluster={cluster}", *tags, within=1200)
    else:
        say(f"{_context()} is neither kind's nor k3d's: push {', '.join(tags)} where its nodes find them under these names")


def _context() -> str:
    return run("kubectl", "config", "current-context").strip()
