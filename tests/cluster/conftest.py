"""A Kubernetes to test on: the project's own node, or with `CLUSTER=existing` the current context of the kubeconfig.

`parts/` tests each part of the platform by itself, `platform/` the chart with everything in it. The images must be there.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.kubectl import Kubectl
from cluster.programs import TAG, kubeconfig, program


@pytest.fixture(scope="session")
def admin() -> Kubectl:
    """The cluster's administrator."""
    return Kubectl(program("kubectl"), kubeconfig(), "default")


@pytest.fixture(scope="session")
def minio_program() -> Path:
    """A MinIO server for tests that run one beside the cluster."""
    return program("minio")


@pytest.fixture(scope="session")
def serving_image() -> str:
    """Whatever has Python and aiohttp will do for a caller."""
    return f"headrace/serving:{TAG}"
