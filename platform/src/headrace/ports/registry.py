"""The model registry. Its aliases are the desired state of what serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class ModelVersion:
    """A registered version of a model.

    Attributes:
        model: the registered model's name.
        version: counts from 1.
        run_id: the run that trained it.
        tags: as set on the version.
        description: what people read on top of it, in Markdown.
    """

    model: str
    version: int
    run_id: str
    tags: Mapping[str, str]
    description: str = ""


class Aliases(Protocol):
    """What the aliases of registered models say. May raise UnavailableError."""

    def aliases(self, model: str) -> Mapping[str, int]:
        """Every alias of the model with the version it points to; empty when the model does not exist."""
        ...


class RegistryWatch(Aliases, Protocol):
    """What people change in the registry, for whoever looks again and again. May raise UnavailableError."""

    def tags(self, model: str, version: int) -> Mapping[str, str]:
        """The version's tags.

        Raises:
            NotFoundError: there is no such version.
        """
        ...


class ModelRegistry(Aliases, Protocol):
    """Registered models, their versions and aliases. All methods may raise UnavailableError."""

    def register(self, *, model: str, model_uri: str, run_id: str, description: str, tags: Mapping[str, str]) -> ModelVersion:
        """Register a logged model as the next version; a run that already has a version of `model` gets that one back."""
        ...

    def version(self, model: str, version: int) -> ModelVersion:
        """One version.

        Raises:
            NotFoundError: there is no such version.
        """
        ...

    def set_alias(self, model: str, alias: str, version: int) -> None:
        """Point an alias to a version, moving it if it points elsewhere.

        Raises:
            NotFoundError: there is no such version.
        """
        ...

    def delete_alias(self, model: str, alias: str) -> None:
        """Remove an alias; removing an absent one is not an error."""
        ...

    def describe(self, model: str, version: int, description: str) -> None:
        """Set a version's description, replacing what was there.

        Raises:
            NotFoundError: there is no such version.
        """
        ...

    def set_tag(self, model: str, version: int, tag: str, value: str) -> None:
        """Set a tag of a version, replacing its value.

        Raises:
            NotFoundError: there is no such version.
        """
        ...

    def delete_tag(self, model: str, version: int, tag: str) -> None:
        """Remove a tag of a version; removing an absent one is not an error.

        Raises:
            NotFoundError: there is no such version.
        """
        ...

    def download(self, version: ModelVersion, folder: Path) -> Path:
        """Copy the version's files below `folder`.

        Returns:
            The folder that holds `model.onnx`, `golden.npz` and `model.json`.
        """
        ...
