"""Training as it is, in a folder of its own: real worker processes, a real store, a real MLflow over SQLite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fakes import FakeLocks
from headrace.adapters.directory_store import DirectoryStore
from headrace.adapters.local_processes import LocalTrainingLauncher
from headrace.specs.dataset import Split
from headrace.specs.training import Candidate, TrainingJob
from headrace.usecases.train import Trainer, TrainingRecords
from training_data import training_job, write_version


class TrainingWorld:
    """An installation for training alone. MLFLOW_TRACKING_URI must be `tracking_url(home)` while it is used: without a
    server between, MLflow's registry looks for logged models where that says."""

    def __init__(self, home: Path, *, rows: Mapping[Split, int], cores: int | None = None) -> None:
        from mlflow.tracking import MlflowClient

        from headrace.adapters.mlflow.registry import MlflowRegistry
        from headrace.adapters.mlflow.tracking import MlflowTracking

        self.home, self.url = home, tracking_url(home)
        self.store = DirectoryStore(home / "store")
        self.launcher = LocalTrainingLauncher(cores=cores)
        self.version = write_version(self.store, rows=dict(rows))
        self.client = MlflowClient(tracking_uri=self.url, registry_uri=self.url)
        self.client.create_experiment("tiny", artifact_location=f"file://{home}/artifacts")
        self.tracking, self.registry = MlflowTracking(self.url), MlflowRegistry(self.url)

    def job(self, run: str, **training: Any) -> TrainingJob:
        return training_job(self.version, **training).model_copy(update={"run": run})

    def train(self, job: TrainingJob, log: Callable[[str], None] = print) -> Candidate:
        trainer = Trainer(
            records=TrainingRecords(tracking=self.tracking, registry=self.registry, store=self.store),
            launcher=self.launcher,
            locks=FakeLocks(),
            environment={"MLFLOW_TRACKING_URI": self.url, "HEADRACE_HOME": str(self.home)},
        )
        return trainer.train(job, log=log)

    def run_of(self, job: TrainingJob) -> Any:
        experiment = self.client.get_experiment_by_name("tiny")
        (run,) = self.client.search_runs([experiment.experiment_id], f"tags.`headrace.run` = '{job.run}'")
        return run

    def history(self, job: TrainingJob, metric: str) -> list[tuple[int, float]]:
        """Every point as (step, value), duplicates and all."""
        points = self.client.get_metric_history(self.run_of(job).info.run_id, metric)
        return sorted((point.step, point.value) for point in points)


def tracking_url(home: Path) -> str:
    return f"sqlite:///{home}/mlflow.db"
