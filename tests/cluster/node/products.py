"""The platform's own images, by the same `make images` that everybody uses."""

from __future__ import annotations

import os
from pathlib import Path

from cluster.node.home import Home
from cluster.node.images import docker_environment
from cluster.node.shell import show
from cluster.node.standins import PYTHON_IMAGE

_CHECKOUT = Path(__file__).parents[3]


def build_products(home: Home | None) -> None:
    """Build them with the node's docker on the stand-in of Python's image, or with the user's own on the real one."""
    if home is None:
        show("make", "--no-print-directory", "images", env=os.environ, cwd=_CHECKOUT)
    else:
        # One revision for all: what names the commit is another image at each, to be copied into the cluster anew.
        given = (f"PYTHON_IMAGE={PYTHON_IMAGE}", "DOCKER_BUILD_FLAGS=--network=host --quiet", "REVISION=under-test")
        show("make", "--no-print-directory", "images", *given, env=docker_environment(home), cwd=_CHECKOUT)
