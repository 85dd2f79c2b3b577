"""Registered models on an MLflow server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient

from headrace.adapters.mlflow.errors import translated
from headrace.errors import NotFoundError
from headrace.ports.registry import ModelVersion

_LOGGED_MODEL = "models:/m-"


class MlflowRegistry:
    """Implements `ports.registry.ModelRegistry`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = MlflowClient(tracking_uri=url, registry_uri=url)

    def register(self, *, model: str, model_uri: str, run_id: str, description: str, tags: Mapping[str, str]) -> ModelVersion:
        """See the port. `model_uri` is a logged model's (`models:/m-…`)."""
        with translated(f"model {model}", where=self._url):
            self._ensure_model(model)
            for found in self._client.search_model_versions(f"name = '{model}' and run_id = '{run_id}'"):
                return self.version(model, int(found.version))
            created = self._client.create_model_version(
                model,
                source=model_uri,
                run_id=run_id,
                tags=dict(tags),
                description=description,
                model_id=model_uri.removeprefix("models:/"),
            )
            return self.version(model, int(created.version))

    def version(self, model: str, version: int) -> ModelVersion:
        """See the port."""
        with translated(f"version {version} of model {model}", where=self._url):
            found = self._client.get_model_version(model, str(version))
        return ModelVersion(
            model=model,
            version=int(found.version),
            run_id=str(found.run_id),
            tags=dict(found.tags),
            description=str(found.description or ""),
        )

    def aliases(self, model: str) -> Mapping[str, int]:
        """See the port."""
        try:
            with translated(f"model {model}", where=self._url):
                registered = self._client.get_registered_model(model)
        except NotFoundError:
            return {}
        return {alias: int(version) for alias, version in registered.aliases.items()}

    def set_alias(self, model: str, alias: str, version: int) -> None:
        """See the port."""
        with translated(f"version {version} of model {model}", where=self._url):
            self._client.set_registered_model_alias(model, alias, str(version))

    def delete_alias(self, model: str, alias: str) -> None:
        """See the port."""
        with translated(f"alias {alias} of model {model}", where=self._url):
            if alias in self.aliases(model):
                self._client.delete_registered_model_alias(model, alias)

    def describe(self, model: str, version: int, description: str) -> None:
        """See the port."""
        with translated(f"version {version} of model {model}", where=self._url):
            self._client.update_model_version(model, str(version), description=description)

    def set_tag(self, model: str, version: int, tag: str, value: str) -> None:
        """See the port."""
        with translated(f"version {version} of model {model}", where=self._url):
            self._client.set_model_version_tag(model, str(version), tag, value)

    def delete_tag(self, model: str, version: int, tag: str) -> None:
        """See the port."""
        with translated(f"version {version} of model {model}", where=self._url):
            if tag in self.version(model, version).tags:
                self._client.delete_model_version_tag(model, str(version), tag)

    def download(self, version: ModelVersion, folder: Path) -> Path:
        """See the port."""
        what = f"version {version.version} of model {version.model}"
        with translated(what, where=self._url):
            folder.mkdir(parents=True, exist_ok=True)
            # Not mlflow.artifacts.download_artifacts: it looks logged models up on the process-wide tracking server.
            files = get_artifact_repository(self._location(version), tracking_uri=self._url)
            return Path(str(files.download_artifacts("", str(folder))))  # type: ignore[no-untyped-call]

    def _location(self, version: ModelVersion) -> str:
        """Where the version's files lie: its own source, or that of the logged model it was registered from."""
        source = str(self._client.get_model_version(version.model, str(version.version)).source)
        if source.startswith(_LOGGED_MODEL):
            source = str(self._client.get_logged_model(source.removeprefix("models:/")).artifact_location)
        return source

    def _ensure_model(self, model: str) -> None:
        try:
            self._client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
