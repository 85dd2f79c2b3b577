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
_MODULE = Path(__file__).parent / "kube"
_BUILD_WITHIN = 3600


@dataclass(frozen=True)
class GoProgram:
    """A program that `go install` makes."""

    name: str
    package: str
    version: str
    ldflags: str = ""


TOOLS = (
    GoProgram("helm", "helm.sh/helm/v3/cmd/helm", "v3.22.0", "-X helm.sh/helm/v3/internal/version.version=v3.22.0"),
    GoProgram("coredns", "github.com/coredns/coredns", "v1.15.0"),
    GoProgram("minio", "github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c"),
)


def ensure_programs(home: Home) -> None:
    """Build what is not there yet; takes minutes, once a version."""
    version = f"{KUBERNETES}-{_sources_digest()}"
    _ensure(home, "kube", version, _build_kube)
    _ensure(home, "pause", version, _build_pause)
    _link(home, "kubectl", "kube")
    for tool in TOOLS:
        _ensure(home, tool.name, tool.version, lambda target, tool=tool: _install(tool, target))  # type: ignore[misc]


def _ensure(home: Home, name: str, version: str, build: Callable[[Path], None]) -> None:
    target = home.bin / f"{name}-{version}"
    if not target.exists():
        _require_go()
        home.bin.mkdir(parents=True, exist_ok=True)
        say(f"building {name} {version}")
        started = time.monotonic()
        with tempfile.TemporaryDirectory(dir=home.bin) as folder:
            build(Path(folder) / name)
            (Path(folder) / name).rename(target)
        say(f"  {time.monotonic() - started:.0f} s")
    _link(home, name, target.name)


def _build_kube(target: Path) -> None:
    package = "k8s.io/component-base/version"
    major, minor, _ = KUBERNETES.split(".")
    values = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    ldflags = " ".join(["-s -w", *(f"-X {package}.{name}={value}" for name, value in values.items())])
    _go("build", "-tags", "netgo,osusergo", "-ldflags", ldflags, "-o", str(target), ".", cwd=_MODULE)


def _build_pause(target: Path) -> None:
    _go("build", "-ldflags", "-s -w", "-o", str(target), "./pause", cwd=_MODULE)


def _install(tool: GoProgram, target: Path) -> None:
    _go("install", "-ldflags", f"-s -w {tool.ldflags}", f"{tool.package}@{tool.version}", GOBIN=str(target.parent))


def _go(verb: str, *arguments: str, cwd: Path | None = None, **environment: str) -> None:
    variables = os.environ | {"CGO_ENABLED": "0"} | environment
    run("nice", "go", verb, "-trimpath", *arguments, cwd=cwd, env=variables, within=_BUILD_WITHIN)


def _require_go() -> None:
    if not shutil.which("go"):
        raise NodeError("building Kubernetes needs Go in PATH (1.26, go.dev/dl), or use a cluster of your own: CLUSTER=existing")


def _sources_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(_MODULE.rglob("*")):
        if path.suffix in {".go", ".mod", ".sum"} and not path.name.endswith("_test.go"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def _link(home: Home, name: str, target: str) -> None:
    """Replace the link in one step: somebody may be running what it points at."""
    fresh = home.bin / f".{name}.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(home.bin / name)
