"""The composition root: the one place that reads the settings and builds adapters.

Adapters are built when first used, and their libraries imported then: `headrace status` must not wait for MLflow's import.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from headrace.config import Backend, ServingBackendKind, Settings, load_settings
from headrace.specs.step import IngestStep, Materialised, PromoteResult, PromoteStep, Step, VerifyResult, VerifyStep

if TYPE_CHECKING:
    from headrace.ports.catalogue import Catalogue
    from headrace.ports.locks import Locks
    from headrace.ports.log import LogLine
    from headrace.ports.orchestrator import Orchestrator
    from headrace.ports.registry import ModelRegistry
    from headrace.ports.serving import ServingBackend
    from headrace.ports.steps import StepRunner
    from headrace.ports.store import ObjectStore
    from headrace.ports.worker_pods import WorkerPods
    from headrace.render.job import JobTarget
    from headrace.render.seldon import ServingTarget
    from headrace.specs.dataset import DatasetVersion, Freshness
    from headrace.specs.mirror import MirroredFile, MirrorManifest
    from headrace.specs.pipeline import PipelineSpec
    from headrace.specs.store import StoreKeys, StorePlan
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
    def serving(self) -> ServingBackend:
        """What runs graphs."""
        if self.settings.serving_backend is ServingBackendKind.SELDON:
            from headrace.adapters.kubernetes.client import api_client
            from headrace.adapters.seldon.backend import SeldonBackend

            return SeldonBackend(api_client(self.settings.kubernetes.context), url=self.settings.serving_url)
        if self.settings.backend is Backend.KUBERNETES:
            from headrace.adapters.engine_on_kubernetes.backend import EngineOnKubernetes
            from headrace.adapters.kubernetes.client import api_client

            service = self.settings.kubernetes.engine_service
            url = self.settings.serving_url or f"http://{service}.{self.settings.namespace}.svc:9000"
            return EngineOnKubernetes(api_client(self.settings.kubernetes.context), service=service, url=url)

        from headrace.adapters.graph_engine import GraphEngine

        return GraphEngine(self.settings.serving())

    @cached_property
    def serving_target(self) -> ServingTarget:
        """Where graphs run: in pods, when anything does."""
        from headrace.render.seldon import ClusterTarget, ServingTarget

        kubernetes = self.settings.kubernetes
        in_pods = self.settings.backend is Backend.KUBERNETES or self.settings.serving_backend is ServingBackendKind.SELDON
        if not in_pods:
            return ServingTarget(namespace=self.settings.namespace)
        store = {name: value for name, value in self.settings.pod_environment().items() if name.startswith("HEADRACE_MINIO__")}
        cluster = ClusterTarget(
            pull_policy=kubernetes.pull_policy.value,
            store=store,
            secrets=kubernetes.serving_secrets,
            priority_class=kubernetes.serving_priority_class,
        )
        return ServingTarget(namespace=self.settings.namespace, image=kubernetes.serving_image, cluster=cluster)

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
        from headrace.usecases.promote import Promoter

        return Promoter(
            registry=self.registry,
            serving=self.serving,
            store=self.store,
            locks=self.locks,
            target=self.serving_target,
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

    @cached_property
    def job_target(self) -> JobTarget:
        """Where and as what training jobs run on the cluster."""
        from headrace.render.job import JobTarget

        kubernetes = self.settings.kubernetes
        return JobTarget(
            namespace=kubernetes.namespace,
            image=kubernetes.trainer_image,
            pull_policy=kubernetes.pull_policy.value,
            service_account=kubernetes.service_account,
            environment=self.settings.pod_environment(),
            secrets=kubernetes.secrets,
            priority_class=kubernetes.priority_class,
            queue=kubernetes.queue,
        )

    @asynccontextmanager
    async def worker_pods(self) -> AsyncIterator[WorkerPods]:
        """The cluster's training jobs, until the context ends."""
        from headrace.adapters.kubernetes.api_server import open_api_server
        from headrace.adapters.kubernetes.worker_pods import KubernetesWorkerPods

        kubernetes = self.settings.kubernetes
        async with open_api_server(kubernetes.context) as server:
            yield KubernetesWorkerPods(server, namespace=kubernetes.namespace)

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
        from headrace.adapters.idx.mirror import SourceMirror
        from headrace.adapters.idx.source import IdxFiles
        from headrace.usecases.ingest import Ingestor

        source = IdxFiles(SourceMirror(self.store, step.pipeline.dataset.name))
        ingestor = Ingestor(source=source, shards=ArrowShards(), store=self.store, clock=utc_now)
        return ingestor.ingest(step.pipeline.dataset, step.pipeline.folder, progress=_log_rows())

    def mirror(self, spec: PipelineSpec, *, progress: Callable[[MirroredFile], None]) -> MirrorManifest:
        """Copy the pipeline's raw files into the store, where any machine's ingestion finds them."""
        from headrace.adapters.idx.source import IdxFiles
        from headrace.usecases.mirror import mirror_source

        return mirror_source(spec.dataset, spec.folder, source=IdxFiles(), store=self.store, progress=progress)

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

    async def follow_training(self, job: TrainingJob, *, log: LogLine) -> None:
        """Follow a job on the cluster to its end, however many other jobs this process follows."""
        from headrace.usecases.cluster_training.follow import JobFollower

        within = job.training.placement.schedule_within_seconds or self.settings.kubernetes.schedule_within_seconds
        async with self.worker_pods() as pods:
            await JobFollower(pods, job, schedule_within=timedelta(seconds=within), clock=utc_now, log=log).follow()

    async def remove_training(self, job: TrainingJob) -> None:
        """Remove from the cluster what is left of a job that has failed."""
        from headrace.render.job import job_name

        async with self.worker_pods() as pods:
            await pods.delete(job_name(job))

    async def stop_training(self, job: TrainingJob, *, run_id: str, owner: str, log: LogLine) -> None:
        """Take away a job on the cluster that a person ended."""
        from headrace.adapters.mlflow.run_ending import MlflowRunEnding
        from headrace.usecases.cluster_training.launch import stop

        runs = MlflowRunEnding(self.settings.tracking())
        async with self.worker_pods() as pods:
            await stop(pods, job, run_id=run_id, runs=runs, owner=owner, log=log)

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

    def migrate(self) -> None:
        """Bring headrace's own tables up to date."""
        from headrace.adapters.postgres.migrations import upgrade

        upgrade(self.settings.database())

    def prepare_store(self, plan: StorePlan, keys: Mapping[str, StoreKeys]) -> None:
        """Make the store's buckets and accounts; the settings hold an administrator's keys."""
        from headrace.adapters.minio_admin import MinioAdministrator

        MinioAdministrator(self.settings.minio).prepare(plan, keys)
