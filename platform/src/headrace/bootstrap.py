"""The composition root: the one place that reads the settings and builds adapters.

Adapters are built when first used, and their libraries imported then: `headrace status` must not wait for MLflow's import.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from headrace.config import Settings, load_settings
from headrace.specs.step import IngestStep, Materialised, PromoteResult, PromoteStep, Step, VerifyResult, VerifyStep

if TYPE_CHECKING:
    from headrace.adapters.graph_engine import GraphEngine
    from headrace.ports.catalogue import Catalogue
    from headrace.ports.locks import Locks
    from headrace.ports.log import LogLine
    from headrace.ports.orchestrator import Orchestrator
    from headrace.ports.registry import ModelRegistry
    from headrace.ports.steps import StepRunner
    from headrace.ports.store import ObjectStore
    from headrace.specs.dataset import DatasetVersion, Freshness
    from headrace.specs.pipeline import PipelineSpec
    from headrace.specs.training import Candidate, TrainingJob
    from headrace.usecases.promote import Promoter
    from headrace.usecases.train import Trainer, TrainingRecords

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Implements `ports.clock.Clock`."""
    return datetime.now(UTC)


def _log_rows(every: int = 20_000) -> Callable[[int, int], None]:
    """A progress callback that logs about once in so many rows, and at the end."""
    logged = 0

    def progress(done: int, total: int) -> None:
        nonlocal logged
        if done - logged >= every or done == total:
            logged = done
            log.info("%d of %d rows written", done, total)

    return progress


class Platform:
    """Everything an edge may ask for, wired for one installation."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()

    # --- what it is made of ---

    @cached_property
    def store(self) -> ObjectStore:
        """Datasets, results, checkpoints, served models."""
        from headrace.adapters.stores import open_store

        return open_store(self.settings)

    @cached_property
    def catalogue(self) -> Catalogue:
        """Dataset versions."""
        from headrace.adapters.postgres.catalogue import PostgresCatalogue

        return PostgresCatalogue(self.settings.database())

    @cached_property
    def locks(self) -> Locks:
        """Mutual exclusion across processes."""
        from headrace.adapters.postgres.locks import PostgresLocks

        return PostgresLocks(self.settings.database())

    @cached_property
    def serving(self) -> GraphEngine:
        """What runs graphs."""
        from headrace.adapters.graph_engine import GraphEngine

        return GraphEngine(self.settings.serving())

    @cached_property
    def orchestrator(self) -> Orchestrator:
        """Airflow."""
        from headrace.adapters.airflow_api import AirflowApi

        return AirflowApi(self.settings.airflow(), self.settings.airflow_login)

    @cached_property
    def registry(self) -> ModelRegistry:
        """Registered models."""
        from headrace.adapters.mlflow.registry import MlflowRegistry

        return MlflowRegistry(self.settings.tracking())

    @cached_property
    def steps(self) -> StepRunner:
        """What runs steps beside the orchestrator's task, and all of them when there are no pods."""
        from headrace.adapters.local_steps import LocalStepRunner

        return LocalStepRunner()

    @cached_property
    def promoter(self) -> Promoter:
        """Moves ensembles."""
        from headrace.render.seldon import ServingTarget
        from headrace.usecases.promote import Promoter

        return Promoter(
            registry=self.registry,
            serving=self.serving,
            store=self.store,
            locks=self.locks,
            target=ServingTarget(namespace=self.settings.namespace),
        )

    @cached_property
    def training_records(self) -> TrainingRecords:
        """Runs, results and registered versions of training jobs."""
        from headrace.adapters.mlflow.tracking import MlflowTracking
        from headrace.usecases.train import TrainingRecords

        return TrainingRecords(tracking=MlflowTracking(self.settings.tracking()), registry=self.registry, store=self.store)

    @cached_property
    def trainer(self) -> Trainer:
        """Trains members with processes of this machine."""
        from headrace.adapters.local_processes import LocalTrainingLauncher
        from headrace.usecases.train import Trainer

        return Trainer(
            records=self.training_records,
            launcher=LocalTrainingLauncher(),
            locks=self.locks,
            environment={"MLFLOW_TRACKING_URI": self.settings.tracking()},
        )

    # --- what it does ---

    def check_freshness(self, spec: PipelineSpec, *, force: bool = False, full: bool = False) -> Freshness:
        """Whether the pipeline's dataset must be ingested again, and why; `full` reads all its data."""
        from headrace.adapters.idx.source import IdxFiles
        from headrace.usecases.freshness import check_freshness

        return check_freshness(
            spec.dataset,
            spec.folder,
            source=IdxFiles(),
            store=self.store,
            catalogue=self.catalogue,
            clock=utc_now,
            force=force,
            full=full,
        )

    def ingest(self, step: IngestStep) -> DatasetVersion:
        """Run the ingest step."""
        from headrace.adapters.arrow_shards import ArrowShards
        from headrace.adapters.idx.source import IdxFiles
        from headrace.usecases.ingest import Ingestor

        ingestor = Ingestor(source=IdxFiles(), shards=ArrowShards(), store=self.store, clock=utc_now)
        return ingestor.ingest(step.pipeline.dataset, step.pipeline.folder, progress=_log_rows())

    def materialise(
        self, step: IngestStep, *, steps: StepRunner, log: LogLine, newer_than: datetime | None = None
    ) -> Materialised:
        """Return a version of the step's dataset that may be used; `steps` makes it if there is none."""
        from headrace.adapters.idx.source import IdxFiles
        from headrace.usecases.materialise import Materialiser

        materialiser = Materialiser(
            source=IdxFiles(),
            store=self.store,
            catalogue=self.catalogue,
            locks=self.locks,
            steps=steps,
            clock=utc_now,
        )
        return materialiser.materialise(step, log=log, newer_than=newer_than)

    def train(self, job: TrainingJob, *, log: LogLine) -> Candidate:
        """Run a training job and register its candidate."""
        return self.trainer.train(job, log=log)

    def promote(self, step: PromoteStep) -> PromoteResult:
        """Run the promote step."""
        return self.promoter.promote(step)

    def verify(self, step: VerifyStep) -> VerifyResult:
        """Run the verify step."""
        return self.promoter.verify(step)

    def run_step(self, step: Step, *, steps: StepRunner, log: LogLine) -> bytes:
        """Have `steps` run a step, and return its result as JSON."""
        steps.await_earlier(step, log=log)
        steps.run(step, log=log)
        return self.store.get_bytes(step.result_key)
