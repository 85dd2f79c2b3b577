"""Written fakes of the registry and the serving backend. They keep the ports' contracts; the contract suites say so."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from headrace.errors import DeploymentFailedError, InvalidSpecError, NotFoundError
from headrace.ports.registry import ModelVersion
from headrace.ports.serving import Document
from headrace.render.seldon import Branch, canary_members_of, members_of
from headrace.specs.canary import CanaryFigures
from headrace.specs.serving import SlotMember


class FakeRegistry:
    """`ports.registry.ModelRegistry` in memory. `files` maps a version to the files its download brings."""

    def __init__(self) -> None:
        self._versions: dict[str, list[ModelVersion]] = {}
        self._aliases: dict[str, dict[str, int]] = {}
        self._registered: dict[str, int] = {}
        """How many versions a model ever had: a deleted one's number is not given again."""
        self.files: dict[tuple[str, int], dict[str, bytes]] = {}

    def register(self, *, model: str, model_uri: str, run_id: str, description: str, tags: Mapping[str, str]) -> ModelVersion:
        versions = self._versions.setdefault(model, [])
        for version in versions:
            if version.run_id == run_id:
                return version
        self._registered[model] = number = self._registered.get(model, 0) + 1
        versions.append(ModelVersion(model=model, version=number, run_id=run_id, tags=dict(tags), description=description))
        return versions[-1]

    def version(self, model: str, version: int) -> ModelVersion:
        for found in self._versions.get(model, []):
            if found.version == version:
                return found
        raise NotFoundError(f"version {version} of model {model} does not exist")

    def aliases(self, model: str) -> Mapping[str, int]:
        return dict(self._aliases.get(model, {}))

    def tags(self, model: str, version: int) -> Mapping[str, str]:
        return dict(self.version(model, version).tags)

    def set_alias(self, model: str, alias: str, version: int) -> None:
        self.version(model, version)
        self._aliases.setdefault(model, {})[alias] = version

    def delete_alias(self, model: str, alias: str) -> None:
        self._aliases.get(model, {}).pop(alias, None)

    def set_tag(self, model: str, version: int, tag: str, value: str) -> None:
        found = self.version(model, version)
        self._replace(found, tags={**found.tags, tag: value})

    def delete_tag(self, model: str, version: int, tag: str) -> None:
        found = self.version(model, version)
        self._replace(found, tags={name: value for name, value in found.tags.items() if name != tag})

    def delete_version(self, model: str, version: int) -> None:
        """What a person may do in the registry's own interface; the version's aliases go with it."""
        self._versions[model].remove(self.version(model, version))
        for alias, named in self.aliases(model).items():
            if named == version:
                self.delete_alias(model, alias)

    def describe(self, model: str, version: int, description: str) -> None:
        self._replace(self.version(model, version), description=description)

    def _replace(self, found: ModelVersion, **changes: Any) -> None:
        versions = self._versions[found.model]
        versions[versions.index(found)] = dataclasses.replace(found, **changes)

    def download(self, version: ModelVersion, folder: Path) -> Path:
        self.version(version.model, version.version)
        for name, content in self.files[version.model, version.version].items():
            (folder / name).write_bytes(content)
        return folder


class FakeServing:
    """`ports.serving.ServingBackend` in memory: a linear "model" per version, averaged by weight.

    `refuses` names deployments that never become ready, `broken` versions that keep every deployment from it; `skewed` names
    deployments whose answers are off by the given amount. Every other request of a graph that tries a new ensemble is that one's;
    `counted` is what such graphs say of both.
    """

    def __init__(self) -> None:
        self.live: dict[tuple[str, str], dict[str, Any]] = {}
        self.applied: list[dict[str, Any]] = []
        self.refuses: set[str] = set()
        self.broken: set[int] = set()
        self.skewed: dict[str, float] = {}
        self.counted = CanaryFigures()
        self._asked = 0

    def get(self, namespace: str, name: str) -> Document | None:
        return copy.deepcopy(self.live.get((namespace, name)))

    def apply(self, document: Document, *, timeout: timedelta) -> None:
        name = document["metadata"]["name"]
        members = (*members_of(document), *canary_members_of(document))
        if name in self.refuses or self.broken & {member.version for member in members}:
            raise DeploymentFailedError(f"{name} did not become ready", remedy=f"within {timeout}")
        self.applied.append(copy.deepcopy(dict(document)))
        self.live[document["metadata"]["namespace"], name] = copy.deepcopy(dict(document))

    def delete(self, namespace: str, name: str) -> None:
        self.live.pop((namespace, name), None)

    def endpoint(self, namespace: str, name: str) -> str:
        return f"fake://{namespace}/{name}"

    def figures(self, namespace: str, name: str) -> CanaryFigures:
        document = self.live.get((namespace, name))
        return self.counted if document and canary_members_of(document) else CanaryFigures()

    def _answers(self, document: Document) -> tuple[Branch, tuple[SlotMember, ...]]:
        self._asked += 1
        new = canary_members_of(document)
        routed = "children" in document["spec"]["predictors"][0]["graph"]["children"][0]
        return (Branch.NEW, new) if new and routed and self._asked % 2 else (Branch.SERVING, members_of(document))

    def predict(self, namespace: str, name: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        document = self.live.get((namespace, name))
        if document is None:
            raise NotFoundError(f"no graph {namespace}/{name} serves")
        inputs = np.asarray(message["data"]["ndarray"])
        if not inputs.size:
            raise InvalidSpecError(f"the graph {namespace}/{name} refused the message: expected rows")
        branch, members = self._answers(document)
        votes = [
            {
                "name": f"{branch.value}{member.alias}",
                "version": str(member.version),
                "probabilities": (fake_probabilities(inputs, member.version) + self.skewed.get(name, 0.0)).tolist(),
            }
            for member in members
        ]
        weights = [member.weight for member in members]
        mean = np.average([vote["probabilities"] for vote in votes], axis=0, weights=weights)
        return {"data": {"ndarray": mean.tolist()}, "meta": {"puid": "1", "tags": {"votes": votes}}}


def fake_probabilities(inputs: np.ndarray[Any, Any], version: int) -> np.ndarray[Any, Any]:
    """What version `version` answers for `inputs` [n, 2, 2]: probabilities [n, 2]."""
    first = (inputs.reshape(len(inputs), -1).mean(axis=1) + version / 7) % 1.0
    return np.stack([first, 1 - first], axis=1)
