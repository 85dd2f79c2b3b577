"""Which cluster is tested on, and the programs that talk to it."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import version
from pathlib import Path

from cluster.node.home import Home

EXISTING = os.environ.get("CLUSTER") == "existing"
TAG = version("headrace")
"""Of the images."""


def find_program(name: str) -> Path | None:
    """The one that was built for the project's own node; without it, and on an existing cluster, the one on the PATH."""
    own = Home.of_environment().bin / name
    found = str(own) if own.exists() and not EXISTING else shutil.which(name)
    return Path(found) if found else None


def program(name: str) -> Path:
    """The same, which must be there."""
    found = find_program(name)
    assert found, f"{name} is needed: `make cluster-up` builds it, or install it"
    return found


def kubeconfig() -> Path:
    """The administrator's way in."""
    own = Home.of_environment().kubeconfig
    found = Path(os.environ.get("KUBECONFIG", Path.home() / ".kube/config")) if EXISTING else own
    assert found.exists(), "there is no cluster: `make cluster-up`, or CLUSTER=existing with a KUBECONFIG"
    return found
