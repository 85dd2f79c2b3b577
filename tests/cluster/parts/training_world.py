"""Training on the cluster without an Airflow: operator and trigger, tried as Airflow tries them, with a real store and MLflow."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from airflow.sdk.exceptions import TaskDeferred

from builders import pipeline
from cluster.kubectl import Kubectl
from free_ports import free_ports
from headrace.bootstrap import Platform
from headrace.render.job import job_name
from headrace.specs.pipeline import PipelineSpec, RunRequest
from headrace.specs.training import TrainingJob
from headrace_airflow.pods import training_trigger
from headrace_airflow.pods.training_trigger import TrainingJobTrigger
from headrace_airflow.training import TrainingJobOperator
from waiting import wait_for

MEMBER = "cnn"


@contextmanager
def mlflow_server(folder: Path, address: str) -> Iterator[str]:
    """Run a real MLflow server on an address that pods reach; artifacts go through it."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "mlflow", "server", "--host", address, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    url = f"http://{address}:{port}"
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: _answers(f"{url}/health"), 300, "MLflow is up")
        yield url
    finally:
        os.killpg(process.pid, 15)
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


class Followed:
    """A trigger at work in a triggerer, which can die."""

    def __init__(self, trigger: TrainingJobTrigger) -> None:
        self.lines: list[str] = []
        self.trigger = trigger
        self._event: Any = None
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._follow())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def event(self, *, within: float = 420) -> dict[str, Any]:
        """What it fired."""
        self._thread.join(within)
        assert self._event is not None, f"the trigger did not fire within {within} s; it said {self.lines}"
        payload: dict[str, Any] = self._event.payload
        return payload

    def await_line(self, text: str, *, within: float = 420) -> None:
        """Return when it has logged a line with that text."""
        wait_for(lambda: any(text in line for line in self.lines) or not self._thread.is_alive(), within, f"a line with {text}")
        assert any(text in line for line in self.lines), f"the trigger fired {self._event} and said {self.lines}"

    def die(self) -> None:
        """End as a triggerer that is shut down."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(30)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.wait([self._task]))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())

    async def _follow(self) -> None:
        self.trigger._log_line = self.lines.append  # type: ignore[method-assign]
        async for event in self.trigger.run():
            self._event = event


class Task:
    """A task that trains a member in a run of its own."""

    def __init__(self, world: TrainingOnCluster, run: str, **training: Any) -> None:
        self.world, self.run = world, run
        self.tries = 0
        self.spec = world.pipeline(**training)
        self.followed: list[Followed] = []

    def execute(self) -> Followed:
        """A new try, up to its trigger."""
        self.tries += 1
        with pytest.raises(TaskDeferred) as deferred:
            self._operator().execute(self._context())
        _, arguments = deferred.value.trigger.serialize()
        self.followed.append(Followed(TrainingJobTrigger(**arguments)))
        return self.followed[-1]

    def follow_again(self) -> Followed:
        """The same trigger in another triggerer."""
        trigger = self.followed[-1].trigger
        self.followed.append(Followed(TrainingJobTrigger(job=trigger.job, run_id=trigger.run_id, owner=trigger.owner)))
        return self.followed[-1]

    def complete(self, event: dict[str, Any]) -> dict[str, Any]:
        """What the task does when its trigger has fired."""
        return self._operator().execute_complete(self._context(), event)

    def end(self, *, state: str) -> None:
        """What the triggerer does when a person has brought the task into another state."""
        self.followed[-1].die()
        trigger = self.followed[-1].trigger
        trigger.task_instance = SimpleNamespace(task_id="train", dag_id="tiny", run_id=self.run, map_index=-1)
        with pytest.MonkeyPatch.context() as patch:
            states = {self.run: {"train": state}}
            patch.setattr(training_trigger.RuntimeTaskInstance, "get_task_states", lambda **_: states)
            asyncio.run(trigger.on_kill())

    @property
    def job(self) -> TrainingJob:
        request = RunRequest.defaults(self.spec)
        return request.job(self.spec, MEMBER, run=self.run, dataset=self.world.version)

    def objects(self) -> list[str]:
        """What there is of the job: `kind/name`, pods by rank."""
        found = self.world.kubectl.get("jobs,services,pods", "-l", "app.kubernetes.io/name=headrace-training")
        name = job_name(self.job)
        return sorted(
            f"{each['kind'].lower()}/{each['metadata']['labels'].get('batch.kubernetes.io/job-completion-index', '')}".rstrip("/")
            for each in found
            if each["metadata"]["name"].startswith(name)
        )

    def pod(self, rank: int) -> str:
        """The name of a worker's pod."""
        selector = f"batch.kubernetes.io/job-name={job_name(self.job)},batch.kubernetes.io/job-completion-index={rank}"
        (pod,) = self.world.kubectl.get("pods", "-l", selector)
        name: str = pod["metadata"]["name"]
        return name

    def uid(self) -> str:
        """Of the job."""
        uid: str = self.world.kubectl.get("job", job_name(self.job))["metadata"]["uid"]
        return uid

    def mlflow_runs(self) -> list[Any]:
        """The job's runs: never more than one."""
        client = self.world.client
        experiments = [each.experiment_id for each in client.search_experiments()]
        found: list[Any] = client.search_runs(experiments, f"tags.`headrace.run` = '{self.run}'")
        return found

    def _context(self) -> dict[str, Any]:
        ti = SimpleNamespace(
            id=f"{self.run}-{self.tries}",
            dag_id=self.spec.name,
            task_id=f"train_{MEMBER}",
            map_index=-1,
            try_number=self.tries,
            xcom_push=lambda key, value: None,
        )
        params = RunRequest.defaults(self.spec).model_dump(mode="json")
        return {"ti": ti, "run_id": self.run, "dag": SimpleNamespace(parent_dag=None), "params": params}

    def _operator(self) -> TrainingJobOperator:
        inputs = {"dataset": self.world.version.model_dump(mode="json")}
        return TrainingJobOperator(task_id=f"train_{MEMBER}", spec=self.spec, member=MEMBER, inputs=inputs)


class TrainingOnCluster:
    """An installation for training alone; its settings are in the environment."""

    def __init__(self, kubectl: Kubectl, platform: Platform, version: Any) -> None:
        from mlflow.tracking import MlflowClient

        self.kubectl, self.platform, self.version = kubectl, platform, version
        self.client = MlflowClient(tracking_uri=platform.settings.tracking(), registry_uri=platform.settings.tracking())

    def pipeline(self, **training: Any) -> PipelineSpec:
        """A pipeline of one small member."""
        defaults = {"epochs": 1, "batch_size": 128, "workers": 2, "resources": {"cpu": "100m", "memory": "1Gi"}}
        return pipeline(
            name="tiny",
            members={MEMBER: {"architecture": "cnn", "description": "Of the tests."}},
            training={**defaults, **training},
            ensemble={"name": "tiny", "model": "tiny", "size": 1},
        )
