"""What an installation is made of: its settings, and the adapters they ask for.

Adapters are built when first used, and their libraries imported then: `headrace status` must not wait for MLflow's import.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from headrace.config import Backend, ServingBackendKind, Settings, load_settings

if TYPE_CHECKING:
    from headrace.adapters.declared_ensembles import DeclaredEnsembles
    from headrace.ports.catalogue import Catalogue
    from headrace.ports.history import DeploymentHistory
    from headrace.ports.locks import Locks
    from headrace.ports.orchestrator import Orchestrator
    from headrace.ports.registry import ModelRegistry, RegistryWatch
    from headrace.ports.serving import ServingBackend
    from headrace.ports.steps import StepRunner
    from headrace.ports.store import ObjectStore
    from headrace.ports.tracking import Tracking
    from headrace.ports.worker_pods import WorkerPods
    from headrace.render.job import JobTarget
    from headrace.render.seldon import ServingTarget
    from headrace.usecases.deploy.reconcile import Reconciler
    from headrace.usecases.deploy.watching import DesireWatch
    from headrace.usecases.gate.gatekeeper import Gatekeeper
    from headrace.usecases.promote import Promoter
    from headrace.usecases.train import Trainer, TrainingRecords


def utc_now() -> datetime:
    """Implements `ports.clock.Clock`."""
    return datetime.now(UTC)


class Wiring:
    """What an installation is made of."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()

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
    def history(self) -> DeploymentHistory:
        """What serves, served, and should have."""
        from headrace.adapters.postgres.history import PostgresHistory

        return PostgresHistory(self.settings.database())

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
        mirrors = self.settings.serving_backend is not ServingBackendKind.SELDON
        return ServingTarget(namespace=self.settings.namespace, image=kubernetes.serving_image, mirrors=mirrors, cluster=cluster)

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
    def registry_watch(self) -> RegistryWatch:
        """The registry's aliases and tags, for whoever looks again and again: MLflow's client library is not imported."""
        from headrace.adapters.mlflow.watch import MlflowWatch

        return MlflowWatch(self.settings.tracking())

    @cached_property
    def steps(self) -> StepRunner:
        """What runs steps beside the orchestrator's task, and all of them when there are no pods."""
        from headrace.adapters.local_steps import LocalStepRunner

        return LocalStepRunner()

    @cached_property
    def desire_watch(self) -> DesireWatch:
        """Finds what is asked for and not done."""
        from headrace.usecases.deploy.watching import DesireWatch

        return DesireWatch(registry=self.registry_watch, history=self.history, clock=utc_now)

    @cached_property
    def declared_ensembles(self) -> DeclaredEnsembles:
        """The ensembles of the project's pipelines."""
        from headrace.adapters.declared_ensembles import DeclaredEnsembles

        return DeclaredEnsembles(self.settings.project / "dags")

    @cached_property
    def reconciler(self) -> Reconciler:
        """Makes what is desired what serves."""
        from headrace.usecases.deploy.reconcile import Reconciler
        from headrace.usecases.deploy.rollout import Rollout

        return Reconciler(
            registry=self.registry,
            history=self.history,
            rollout=Rollout(registry=self.registry, serving=self.serving, store=self.store, target=self.serving_target),
            locks=self.locks,
            clock=utc_now,
        )

    @cached_property
    def promoter(self) -> Promoter:
        """Chooses what should serve."""
        from headrace.usecases.promote import Promoter

        return Promoter(registry=self.registry, history=self.history, store=self.store, reconciler=self.reconciler)

    @cached_property
    def tracking(self) -> Tracking:
        """Runs of experiments."""
        from headrace.adapters.mlflow.tracking import MlflowTracking

        return MlflowTracking(self.settings.tracking())

    @cached_property
    def gatekeeper(self) -> Gatekeeper:
        """Decides which candidates may serve."""
        from headrace.usecases.gate.gatekeeper import Gatekeeper
        from headrace.usecases.gate.record import Recorder

        return Gatekeeper(
            registry=self.registry,
            serving=self.serving,
            store=self.store,
            recorder=Recorder(registry=self.registry, tracking=self.tracking),
            namespace=self.settings.namespace,
        )

    @cached_property
    def training_records(self) -> TrainingRecords:
        """Runs, results and registered versions of training jobs."""
        from headrace.usecases.train import TrainingRecords

        return TrainingRecords(tracking=self.tracking, registry=self.registry, store=self.store)

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
