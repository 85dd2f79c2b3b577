"""Stand-ins for the images that come from a registry elsewhere: made from Debian's packages and this machine's Python."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.node.home import Home, NodeError
from cluster.node.images import build, docker_environment
from cluster.node.progress import say
from cluster.node.shell import run, succeeds

PYTHON_IMAGE = "headrace/python:3.12"
POSTGRES_IMAGE = "headrace/postgres:17"
MINIO_IMAGE = "headrace/minio:latest"
STANDINS = (PYTHON_IMAGE, POSTGRES_IMAGE)
"""What `build_standins` makes."""

_DEBIAN_IMAGE = "headrace/debian:bookworm"
_SUITE = "bookworm"
_DOCKERFILES = Path(__file__).parents[1] / "images"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_DEBOOTSTRAP_WITHIN = 900
# What the official slim image has beyond Debian's minimum, and Python's own libraries.
_PACKAGES = (
    *("ca-certificates", "netbase", "tzdata"),
    *("libbz2-1.0", "libcrypt1", "libexpat1", "libffi8", "liblzma5", "libncursesw6", "libreadline8", "libsqlite3-0"),
    *("libssl3", "libuuid1", "zlib1g"),
)
_LEFT_OUT_OF_DEBIAN = (*(f"usr/share/{name}" for name in ("doc", "info", "locale", "man")), "var/cache/apt", "var/lib/apt/lists")
_LEFT_OUT_OF_PYTHON = ("test", "__pycache__", "idlelib", "turtledemo", "tkinter", "config-*", "share", "*.a", "*.pth")


def build_standins(home: Home) -> None:
    """Build those that need nothing but packages, Debian's base once and the rest from docker's cache."""
    _ensure_debian(home)
    with _context("python") as context:
        _copy_python(context / "python")
        shutil.copyfile(_CERTIFICATES, context / _CERTIFICATES.name)
        build(home, PYTHON_IMAGE, context)
    with _context("postgres") as context:
        build(home, POSTGRES_IMAGE, context)


def build_minio(home: Home) -> str:
    """Build MinIO's from the node's program; its tag."""
    with _context("minio") as context:
        shutil.copy2(home.bin / "minio", context / "minio")
        build(home, MINIO_IMAGE, context)
    return MINIO_IMAGE


def _ensure_debian(home: Home) -> None:
    environment = docker_environment(home)
    if succeeds("docker", "image", "inspect", _DEBIAN_IMAGE, env=environment):
        return
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=home.root) as folder:
        root, archive = Path(folder) / "root", Path(folder) / "root.tar"
        packages = f"--include={','.join(_PACKAGES)}"
        run("debootstrap", "--variant=minbase", packages, _SUITE, str(root), within=_DEBOOTSTRAP_WITHIN)
        left_out = [f"--exclude=./{path}/*" for path in _LEFT_OUT_OF_DEBIAN]
        run("tar", "--create", f"--file={archive}", f"--directory={root}", "--numeric-owner", *left_out, ".", within=300)
        run("docker", "import", str(archive), _DEBIAN_IMAGE, env=environment, within=300)
    say(f"made {_DEBIAN_IMAGE} in {time.monotonic() - started:.0f} s")


@contextmanager
def _context(name: str) -> Iterator[Path]:
    """A folder to build in, with the image's files."""
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder) / name
        shutil.copytree(_DOCKERFILES / name, context)
        yield context


def _copy_python(target: Path) -> None:
    """This program's own Python as `make install` with the prefix /usr/local would have left it."""
    source = Path(sys.base_prefix)
    if sys.version_info[:2] != (3, 12):
        raise NodeError(f"the images need Python 3.12, and {source} is {sys.version.split()[0]}")
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT_OF_PYTHON, "site-packages"))
    packages = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    for installed in (source / packages).glob("pip*"):
        shutil.copytree(installed, target / packages / installed.name, ignore=shutil.ignore_patterns("__pycache__"))
    for script in (target / "bin").iterdir():
        _correct_interpreter(script, source)


def _correct_interpreter(script: Path, prefix: Path) -> None:
    first = b"#!" + os.fsencode(prefix)
    if script.is_file() and not script.is_symlink() and (content := script.read_bytes()).startswith(first):
        script.write_bytes(b"#!/usr/local" + content.removeprefix(first))
