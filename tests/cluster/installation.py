"""The chart as installed under test, and the ways into it a person has: Airflow, MLflow, the store, the endpoint."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.kubectl import Kubectl
from headrace.adapters.airflow_api import AirflowApi
from headrace.adapters.minio_store import MinioStore
from headrace.adapters.mlflow.registry import MlflowRegistry
from headrace.config import MinioSettings

CHECKOUT = Path(__file__).parents[2]
CHART = CHECKOUT / "helm" / "headrace"
VALUES = Path(__file__).with_name("values.yaml")
RELEASE = "headrace"


@dataclass(frozen=True)
class Installation:
    """One release of the chart.

    Attributes:
        user: kubectl as the restricted user, in the release's namespace.
        helm: the program.
        jobs: the namespace of jobs.
    """

    user: Kubectl
    helm: Path
    jobs: str

    @property
    def namespace(self) -> str:
        """Of the release."""
        return self.user.namespace

    def install(self, *settings: str) -> None:
        """Install, or upgrade to other values, and wait until everything is ready."""
        values = ("--values", str(VALUES), "--set", f"jobs.namespace={self.jobs}")
        more = [part for setting in settings for part in ("--set", setting)]
        self.run_helm("upgrade", "--install", RELEASE, str(CHART), *values, *more, "--wait", "--timeout", "10m")

    def run_helm(self, *arguments: str) -> str:
        """A helm command as the restricted user."""
        command = [str(self.helm), "--kubeconfig", str(self.user.kubeconfig), "--namespace", self.namespace, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr}\n{self.user('get', 'pods')}"
        return done.stdout

    def secret(self, name: str, key: str) -> str:
        """One value of a Secret."""
        return base64.b64decode(self.user.get("secret", name)["data"][key]).decode()

    def secrets(self) -> dict[str, dict[str, str]]:
        """Everything the chart generated, by Secret and key, still encoded."""
        found = self.user.get("secrets", "-l", f"app.kubernetes.io/instance={RELEASE}")
        return {secret["metadata"]["name"]: secret["data"] for secret in found}

    def pods(self, component: str) -> list[str]:
        """The names of a component's running pods that nobody has asked to end; there is one at least."""
        found = self.user.get("pods", "-l", f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}")
        names = [
            pod["metadata"]["name"]
            for pod in found
            if "deletionTimestamp" not in pod["metadata"] and pod["status"]["phase"] == "Running"
        ]
        assert names, f"no pod of component {component} runs"
        return names

    @contextmanager
    def airflow(self) -> Iterator[AirflowApi]:
        """Airflow's API, as the administrator."""
        password = json.loads(self.secret(f"{RELEASE}-airflow", "passwords.json"))["admin"]
        with self.user.forwarded(f"service/{RELEASE}-airflow-api-server", 8080) as address:
            yield AirflowApi(f"http://{address}", lambda: ("admin", password))

    @contextmanager
    def mlflow(self) -> Iterator[str]:
        """The MLflow server's address."""
        with self.user.forwarded(f"service/{RELEASE}-mlflow", 5000) as address:
            yield f"http://{address}"

    @contextmanager
    def registry(self) -> Iterator[MlflowRegistry]:
        """The model registry."""
        with self.mlflow() as url:
            yield MlflowRegistry(url)

    @contextmanager
    def store(self, cache: Path) -> Iterator[MinioStore]:
        """The platform's bucket."""
        with self._store_settings() as settings:
            yield MinioStore(settings, cache=cache)

    def mirror(self, pipeline: str) -> None:
        """Bring a pipeline's raw files into the store, as an operator does once on a cluster without internet."""
        with self._store_settings() as settings:
            environment = {
                **os.environ,
                "HEADRACE_STORE": "minio",
                **{f"HEADRACE_MINIO__{key.upper()}": str(value) for key, value in settings.model_dump().items()},
            }
            headrace = CHECKOUT / ".venv" / "bin" / "headrace"
            subprocess.run([str(headrace), "mirror", pipeline], env=environment, cwd=CHECKOUT, check=True, timeout=300)

    @contextmanager
    def _store_settings(self) -> Iterator[MinioSettings]:
        name = f"{RELEASE}-store-platform"
        keys = {key: self.secret(name, f"HEADRACE_MINIO__{key.upper()}") for key in ("access_key", "secret_key")}
        with self.user.forwarded(f"service/{RELEASE}-minio", 9000) as address:
            yield MinioSettings(endpoint=address, **keys)
