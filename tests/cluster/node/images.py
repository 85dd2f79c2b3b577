"""Images without a registry: built by the node's own dockerd, copied into the store that kubelet looks in."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from cluster.node.home import Home, NodeError
from cluster.node.progress import say
from cluster.node.shell import run, succeeds

_BUILD_WITHIN = 3600
_SOURCE_LABEL = "headrace.dev/docker-id"
_NAMESPACE = "k8s.io"
_REGISTRY = "docker.io/"
_COLLECTED = "does not exist: not found"
"""containerd's collector may take a layer of a former image away just when an import finds that it is there already."""


def docker_environment(home: Home) -> dict[str, str]:
    """The variables with which docker's client talks to the node's daemon."""
    return dict(os.environ) | {"DOCKER_HOST": f"unix://{home.docker_socket}", "DOCKER_BUILDKIT": "0"}


def build(
    home: Home, tag: str, context: Path, *, dockerfile: Path | None = None, arguments: Mapping[str, str] | None = None
) -> None:
    """`docker build` on the host's network; unchanged layers come from docker's cache."""
    started = time.monotonic()
    file = dockerfile or context / "Dockerfile"
    given = [f"--build-arg={name}={value}" for name, value in (arguments or {}).items()]
    run(
        *("docker", "build", "--quiet", "--network=host", f"--tag={tag}", f"--file={file}", *given, str(context)),
        env=docker_environment(home),
        within=_BUILD_WITHIN,
    )
    say(f"built {tag} in {time.monotonic() - started:.0f} s")


def load(home: Home, tag: str) -> bool:
    """Copy docker's image into the cluster's store under the same tag, unless it is there already. Whether it was copied."""
    source = run("docker", "image", "inspect", "--format={{.Id}}", tag, env=docker_environment(home)).strip()
    name = f"{_REGISTRY}{tag}"
    if f"{_SOURCE_LABEL}={source}" in ctr(home, "images", "list", f"name=={name}"):
        return False
    started = time.monotonic()
    refusal = _import(home, tag)
    if _COLLECTED in refusal:
        refusal = _import(home, tag)
    if refusal:
        raise NodeError(f"{tag} could not be imported into containerd: {refusal}")
    ctr(home, "images", "label", name, f"{_SOURCE_LABEL}={source}")
    say(f"imported {tag} in {time.monotonic() - started:.0f} s")
    return True


def _import(home: Home, tag: str) -> str:
    """Copy the image; what containerd says against it, empty when it was copied."""
    with subprocess.Popen(("docker", "save", tag), stdout=subprocess.PIPE, env=docker_environment(home)) as saving:
        importing = (*_ctr(home), "images", "import", "-")
        done = subprocess.run(importing, stdin=saving.stdout, capture_output=True, text=True, check=False)
    if saving.returncode == done.returncode == 0:
        return ""
    return done.stderr.strip() or f"docker save ended with {saving.returncode}"


def ensure_program_image(home: Home, program: str, name: str) -> None:
    """An image of one static program and nothing else, under its full name."""
    tag = name.removeprefix(_REGISTRY)
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        shutil.copyfile(home.bin / program, context / program)
        (context / program).chmod(0o755)
        (context / "Dockerfile").write_text(f'FROM scratch\nCOPY {program} /{program}\nENTRYPOINT ["/{program}"]\n')
        build(home, tag, context)
    load(home, tag)


def ctr(home: Home, *arguments: str) -> str:
    """containerd's own client, on the images and containers of Kubernetes."""
    return run(*_ctr(home), *arguments, within=600)


def answers(home: Home) -> bool:
    """Whether both containerd and dockerd can be talked to."""
    return store_answers(home) and succeeds("docker", f"--host=unix://{home.docker_socket}", "version")


def store_answers(home: Home) -> bool:
    """Whether containerd can be talked to."""
    return succeeds(*_ctr(home), "version")


def _ctr(home: Home) -> tuple[str, ...]:
    return "ctr", f"--address={home.containerd_socket}", f"--namespace={_NAMESPACE}"
