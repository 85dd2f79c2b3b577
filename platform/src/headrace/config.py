"""Where this installation runs: addresses, ports, folders and the store, validated once at the edge.

Read from the environment (`HEADRACE_PORTS__AIRFLOW=9090`, a double underscore for each level) over the YAML file
`HEADRACE_CONFIG` (default `<home>/config.yaml`, may be absent). Unknown keys are refused. Only the composition root and the
embedded stack read it; everything else is handed what it needs.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from headrace import __version__
from headrace.errors import InvalidSpecError

AIRFLOW_USER = "admin"
AIRFLOW_PASSWORD = "airflow-admin"  # noqa: S105 - the name of the secret, not the secret
POSTGRES_PASSWORD = "postgres"  # noqa: S105 - likewise: of headrace's own role


class StoreKind(StrEnum):
    """Which object store holds datasets, step results and checkpoints."""

    DIRECTORY = "directory"
    MINIO = "minio"


class Backend(StrEnum):
    """Where steps and training jobs run."""

    LOCAL = "local"
    KUBERNETES = "kubernetes"


class ServingBackendKind(StrEnum):
    """What runs graphs."""

    ENGINE = "engine"
    """headrace's own: a process of the embedded stack, or pods of the chart."""
    SELDON = "seldon"


class PullPolicy(StrEnum):
    """When a node asks the registry for an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ports(_Section):
    """The embedded stack's TCP ports on the loopback interface."""

    postgres: int = Field(default=15432, ge=1024, le=65535)
    mlflow: int = Field(default=15000, ge=1024, le=65535)
    airflow: int = Field(default=18080, ge=1024, le=65535)
    serving: int = Field(default=19000, ge=1024, le=65535)


class MinioSettings(_Section):
    """An S3-compatible store; used when `store` is `minio`."""

    endpoint: str = "127.0.0.1:9000"
    bucket: str = "headrace"
    access_key: str = ""
    secret_key: str = ""
    secure: bool = False
    region: str = "us-east-1"
    """MinIO's own unless it was told otherwise. Not asked of the store: that takes a right that readers seldom have."""


class KubernetesSettings(_Section):
    """Where and as what pods run; used when `backend` is `kubernetes`."""

    namespace: str = "headrace"
    """Of steps and training jobs."""
    context: str | None = None
    """Of the kubeconfig; inside a pod, and when there is none, the pod's own account is used."""
    step_image: str = f"headrace/airflow:{__version__}"
    trainer_image: str = f"headrace/trainer:{__version__}"
    serving_image: str = f"headrace/serving:{__version__}"
    engine_service: str = "headrace-serving"
    """The Service of the engine's pods, in the graphs' namespace; used when `serving_backend` is `engine`."""
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    service_account: str = "default"
    """Of steps and workers, which ask nothing of the API server."""
    secrets: tuple[str, ...] = ()
    """Secrets whose keys become variables of steps and workers: the store's credentials, and nothing else."""
    serving_secrets: tuple[str, ...] = ()
    """The same for what fetches a model before it serves: credentials that may only read."""
    priority_class: str | None = None
    """Of steps and training jobs, below that of serving."""
    serving_priority_class: str | None = None
    """Of the nodes of graphs."""
    queue: str | None = None
    """A Kueue LocalQueue that admits training jobs; without one, the namespace's quota does."""
    schedule_within_seconds: int = Field(default=300, ge=1)
    """How long a pod may wait for a node before its task fails with the scheduler's reason."""


class Settings(BaseSettings):
    """One installation. Every address may be overridden; the defaults are the embedded stack's own."""

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    home: Path = Path(".headrace")
    project: Path = Path()
    backend: Backend = Backend.LOCAL
    serving_backend: ServingBackendKind = ServingBackendKind.ENGINE
    kubernetes: KubernetesSettings = KubernetesSettings()
    ports: Ports = Ports()
    store: StoreKind = StoreKind.DIRECTORY
    minio: MinioSettings = MinioSettings()
    namespace: str = "headrace"
    database_url: str | None = None
    tracking_url: str | None = None
    airflow_url: str | None = None
    serving_url: str | None = None
    training_slots: int = Field(default=1, ge=1)
    """How many training jobs run at once; a job of N workers takes one slot."""
    serving_python: Path | None = None
    """The interpreter of the serving environment; `.venv-serving` beside the project's files unless said otherwise."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=config_file())

    @property
    def secrets_folder(self) -> Path:
        """The folder of generated secrets: one file each, mode 0600."""
        return self.home / "secrets"

    @property
    def store_folder(self) -> Path:
        """The directory store's root, and MLflow's artifacts beside it under `mlflow/`."""
        return self.home / "store"

    @property
    def serving_interpreter(self) -> Path:
        """The interpreter that runs the serving engine and its nodes."""
        return self.serving_python or self.project / ".venv-serving" / "bin" / "python"

    def database(self) -> str:
        """The SQLAlchemy URL of headrace's own database, with the password."""
        if self.database_url:
            return self.database_url
        return f"postgresql+psycopg2://headrace:{self.secret(POSTGRES_PASSWORD)}@127.0.0.1:{self.ports.postgres}/headrace"

    def tracking(self) -> str:
        """The address of the MLflow server."""
        return self.tracking_url or f"http://127.0.0.1:{self.ports.mlflow}"

    def airflow(self) -> str:
        """The address of Airflow's API server."""
        return self.airflow_url or f"http://127.0.0.1:{self.ports.airflow}"

    def airflow_login(self) -> tuple[str, str]:
        """User and generated password of the embedded Airflow.

        Raises:
            InvalidSpecError: the stack has never been started here.
        """
        return AIRFLOW_USER, self.secret(AIRFLOW_PASSWORD)

    def serving(self) -> str:
        """The address under which endpoints answer (`/seldon/<namespace>/<name>/…`)."""
        return self.serving_url or f"http://127.0.0.1:{self.ports.serving}"

    def pod_environment(self) -> dict[str, str]:
        """The plain variables of a step's or worker's pod: where the store and the MLflow server are. No secret, no database."""
        return {
            "HEADRACE_STORE": self.store.value,
            "HEADRACE_MINIO__ENDPOINT": self.minio.endpoint,
            "HEADRACE_MINIO__BUCKET": self.minio.bucket,
            "HEADRACE_MINIO__SECURE": str(self.minio.secure).lower(),
            "HEADRACE_MINIO__REGION": self.minio.region,
            "MLFLOW_TRACKING_URI": self.tracking(),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def secret(self, name: str) -> str:
        """Read a generated secret.

        Raises:
            InvalidSpecError: the stack has never been started here, so there is none.
        """
        path = self.secrets_folder / name
        try:
            return path.read_text().strip()
        except FileNotFoundError as error:
            raise InvalidSpecError(
                "the stack's secrets do not exist", where=str(path), remedy="Start it once with `headrace up`."
            ) from error


def config_file() -> Path:
    """The YAML file settings are read from; it may be absent."""
    home = Path(os.environ.get("HEADRACE_HOME", ".headrace"))
    return Path(os.environ.get("HEADRACE_CONFIG", home / "config.yaml"))


def load_settings(**overrides: Any) -> Settings:
    """Read and validate the settings; paths come back absolute.

    Raises:
        InvalidSpecError: a key is unknown, a value malformed, or the file is not YAML.
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InvalidSpecError(
            f"setting `{key}`: {first['msg']}",
            where=f"environment HEADRACE_* or {config_file()}",
            remedy="Correct or remove it.",
        ) from error
    except yaml.YAMLError as error:
        raise InvalidSpecError("the configuration is not YAML", where=str(config_file()), remedy=str(error)) from error
    return settings.model_copy(update={"home": settings.home.absolute(), "project": settings.project.absolute()})
