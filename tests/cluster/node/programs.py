"""The node's programs at pinned versions: built once, kept under a name with the version, linked under the plain name."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster.node.home import Home, NodeError
from cluster.node.progress import say
from cluster.node.shell import run

KUBERNETES = "1.34.3"
_HELM = "3.22.0"
_HELM_PACKAGE, _HELM_FLAGS = "helm.sh/helm/v3/cmd/helm", f"-X helm.sh/helm/v3/internal/version.version=v{_HELM}"
_MINIO = "v0.0.0-20260212201848-7aac2a2c5b7c"
_FOLDER = Path(__file__).parent
_BUILD_WITHIN = 3600
GO_SETTINGS = {"CGO_ENABLED": "0", "GOFLAGS": "-trimpath -tags=netgo,osusergo -gcflags=all=-dwarf=false", "GOGC": "400"}
"""The same for whatever is compiled, so that all of it shares a cache. Nobody debugs these programs, and the compiler may take
memory rather than collect its garbage."""


@dataclass(frozen=True)
class Program:
    """A program that Go makes.

    Attributes:
        version: changes whenever another program would come of it.
        build: makes it at a path.
    """

    name: str
    version: str
    build: Callable[[Path], None]


def ensure_programs(home: Home) -> None:
    """Build what is not there yet; takes minutes, once a version."""
    kube, tools = _Module("kube"), _Module("tools")
    kubernetes, beside = f"{KUBERNETES}-{kube.digest()}", tools.digest()
    programs = (
        Program("kube", kubernetes, lambda target: kube.build(target, ".", _kubernetes_version())),
        Program("pause", kubernetes, lambda target: kube.build(target, "./pause")),
        Program("coredns", beside, lambda target: tools.build(target, "./coredns")),
        Program("helm", f"{_HELM}-{beside}", lambda target: tools.build(target, _HELM_PACKAGE, _HELM_FLAGS)),
        Program("minio", _MINIO, lambda target: _install(target, f"github.com/minio/minio@{_MINIO}")),
    )
    for program in programs:
        _ensure(home, program)
    _link(home, "kubectl", "kube")


@dataclass(frozen=True)
class _Module:
    """One of the Go modules beside this file: upstream's programs at the versions its `go.sum` pins."""

    name: str

    @property
    def folder(self) -> Path:
        return _FOLDER / self.name

    def build(self, target: Path, package: str, ldflags: str = "") -> None:
        _go("build", "-ldflags", f"-s -w {ldflags}", "-o", str(target), package, cwd=self.folder)

    def digest(self) -> str:
        """Of everything that is compiled."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.suffix in {".go", ".mod", ".sum"} and not path.name.endswith("_test.go"):
                digest.update(path.read_bytes())
        return digest.hexdigest()[:8]


def _ensure(home: Home, program: Program) -> None:
    target = home.bin / f"{program.name}-{program.version}"
    if not target.exists():
        _require_go()
        home.bin.mkdir(parents=True, exist_ok=True)
        say(f"building {program.name} {program.version}")
        started = time.monotonic()
        with tempfile.TemporaryDirectory(dir=home.bin) as folder:
            program.build(Path(folder) / program.name)
            (Path(folder) / program.name).rename(target)
        say(f"  {time.monotonic() - started:.0f} s")
    _link(home, program.name, target.name)


def _kubernetes_version() -> str:
    package = "k8s.io/component-base/version"
    major, minor, _ = KUBERNETES.split(".")
    values = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(f"-X {package}.{name}={value}" for name, value in values.items())


def _install(target: Path, package: str) -> None:
    _go("install", "-ldflags", "-s -w", package, GOBIN=str(target.parent))


def _go(verb: str, *arguments: str, cwd: Path | None = None, **environment: str) -> None:
    run("nice", "go", verb, *arguments, cwd=cwd, env=os.environ | GO_SETTINGS | environment, within=_BUILD_WITHIN)


def _require_go() -> None:
    if not shutil.which("go"):
        raise NodeError("building Kubernetes needs Go in PATH (1.26, go.dev/dl), or use a cluster of your own: CLUSTER=existing")


def _link(home: Home, name: str, target: str) -> None:
    """Replace the link in one step: somebody may be running what it points at."""
    fresh = home.bin / f".{name}.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(home.bin / name)
