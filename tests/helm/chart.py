"""The chart as rendered by the real helm, for tests that need no cluster."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "helm" / "headrace"
VALUES = Path(__file__).parent / "values"
VALUE_SETS = ("default", *sorted(path.stem for path in VALUES.glob("*.yaml")))
RELEASE, NAMESPACE, KUBERNETES = "headrace", "ml", "1.34.0"
_TEMPLATED = ("Deployment", "StatefulSet", "Job")


class Chart:
    """The chart, and the program that renders it."""

    def __init__(self, helm: Path) -> None:
        self._helm = helm
        self._rendered: dict[tuple[str, ...], subprocess.CompletedProcess[str]] = {}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A helm command without a cluster."""
        environment = {**os.environ, "KUBECONFIG": os.devnull}
        return subprocess.run([self._helm, *arguments], env=environment, capture_output=True, text=True, check=False)

    def template(self, value_set: str = "default", *settings: str) -> subprocess.CompletedProcess[str]:
        """Render with one of the value sets and further `--set` arguments; once for all tests."""
        if (value_set, *settings) not in self._rendered:
            self._rendered[value_set, *settings] = self._template(value_set, settings)
        return self._rendered[value_set, *settings]

    def _template(self, value_set: str, settings: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        values = () if value_set == "default" else ("--values", str(VALUES / f"{value_set}.yaml"))
        more = [part for setting in settings for part in ("--set-json", setting)]
        where = ("--namespace", NAMESPACE, "--kube-version", KUBERNETES)
        return self.run("template", RELEASE, str(CHART), *where, *values, *more)

    def documents(self, value_set: str = "default", *settings: str) -> list[dict[str, Any]]:
        """What is rendered, sorted by kind and name."""
        done = self.template(value_set, *settings)
        assert done.returncode == 0, done.stderr
        return sorted(filter(None, yaml.load_all(done.stdout, Loader=_UniqueKeys)), key=identity)


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, which the API server would."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice: {sorted(keys)}"
        return super().construct_mapping(node, deep)


def identity(document: dict[str, Any]) -> tuple[str, str, str]:
    """Kind, namespace and name."""
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", ""), metadata["name"]


def reviewed(documents: list[dict[str, Any]]) -> str:
    """The documents as golden files keep them: without what is generated anew by each rendering."""
    masked = [_masked(document) for document in documents]
    return re.sub(r"(-migrate-1-)[0-9a-f]{6}", r"\1HASH", yaml.safe_dump_all(masked, sort_keys=False, width=1000))


def _masked(document: dict[str, Any]) -> dict[str, Any]:
    if document["kind"] == "Secret":
        return {**document, "data": dict.fromkeys(document["data"], "GENERATED")}
    template = document.get("spec", {}).get("template", {})
    annotations = template.get("metadata", {}).get("annotations", {})
    if "headrace.dev/configuration" in annotations:
        annotations["headrace.dev/configuration"] = "HASH"
    return document


def pods(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every workload's name with its pod template."""
    for document in documents:
        if document["kind"] in _TEMPLATED:
            yield f"{document['kind']}/{document['metadata']['name']}", document["spec"]["template"]


def containers(template: dict[str, Any]) -> list[dict[str, Any]]:
    """All containers of a pod, those of its start included."""
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]
