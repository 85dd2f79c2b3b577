"""What an installation does: the use cases, each with the adapters it needs. Edges call nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from headrace.bootstrap.wiring import Wiring, utc_now
from headrace.specs.step import EvaluateStep, IngestStep, JoinResult, JoinStep, Materialised, PromoteResult, PromoteStep, Step

if TYPE_CHECKING:
    from headrace.ports.log import LogLine
    from headrace.ports.steps import StepRunner
    from headrace.specs.dataset import DatasetVersion, Freshness
    from headrace.specs.deployment import Deployment, DeploymentRequest, Reconciliation
    from headrace.specs.gate import Evidence
    from headrace.specs.mirror import MirroredFile, MirrorManifest
    from headrace.specs.pipeline import PipelineSpec
    from headrace.specs.serving import EnsembleSpec
    from headrace.specs.store import StoreKeys, StorePlan
    from headrace.specs.training import Candidate, TrainingJob
    from headrace.usecases.approval import Answer

log = logging.getLogger(__name__)


def _log_rows(every: int = 20_000) -> Callable[[int, int], None]:
    """A progress callback that logs about once in so many rows, and at the end."""
    logged = 0

    def progress(done: int, total: int) -> None:
        nonlocal logged
        if done - logged >= every or done == total:
            logged = done
            log.info("%d of %d rows written", done, total)

    return progress


class Platform(Wiring):
    """Everything an edge may ask for, wired for one installation."""

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

    def evaluate(self, step: EvaluateStep) -> Evidence:
        """Run the evaluate step."""
        from headrace.adapters.dataset_reader import StoredSplits
        from headrace.adapters.onnx_model import OnnxRunner
        from headrace.usecases.gate.measure import Evaluator

        return Evaluator(store=self.store, models=OnnxRunner(), splits=StoredSplits(self.store)).evaluate(step)

    def ask_approval(self, model: str, version: int) -> None:
        """Say in the registry that a candidate waits for a person."""
        from headrace.usecases.approval import ask

        ask(self.registry, model, version)

    def find_answer(self, model: str, version: int) -> Answer | None:
        """What a person has decided on a candidate; cheap enough to ask every other second."""
        from headrace.usecases.approval import find_answer

        return find_answer(self.registry_watch, model, version)

    def expire_approval(self, model: str, version: int) -> None:
        """Say in the registry that a candidate waits no longer."""
        from headrace.usecases.approval import expire

        expire(self.registry, model, version)

    def join(self, step: JoinStep) -> JoinResult:
        """Run the join step."""
        from headrace.usecases.progressive import Joiner

        joiner = Joiner(registry=self.registry, history=self.history, reconciler=self.reconciler, locks=self.locks)
        return joiner.join(step)

    def promote(self, step: PromoteStep) -> PromoteResult:
        """Run the promote step."""
        return self.promoter.promote(step)

    @property
    def ensembles(self) -> Mapping[str, EnsembleSpec]:
        """Every ensemble that a pipeline of the project declares, by name."""
        return self.declared_ensembles.by_name()

    def ensemble(self, name: str) -> EnsembleSpec:
        """The ensemble as its pipeline declares it.

        Raises:
            NotFoundError: no pipeline of the project declares it.
        """
        from headrace.errors import NotFoundError

        declared = self.ensembles
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise NotFoundError(
                f"no pipeline declares an ensemble `{name}`", where=str(self.settings.project / "dags"), remedy=f"Known: {known}."
            )
        return declared[name]

    def reconcile(self, ensemble: str, *, who: str) -> Reconciliation:
        """Make what is desired of an ensemble what serves. See `Reconciler.reconcile`."""
        return self.reconciler.reconcile(self.ensemble(ensemble), who=who)

    def reconcile_all(self, *, who: str, log: LogLine) -> list[Reconciliation]:
        """Make what is desired of every declared ensemble what serves, those that wait for it first. See `reconcile_each`."""
        from headrace.usecases.deploy.every import reconcile_each

        waiting = self.unreconciled()
        others = [name for name in self.ensembles if name not in waiting]
        return reconcile_each([*waiting, *others], lambda name: self.reconcile(name, who=who), log=log)

    def deploy(self, request: DeploymentRequest) -> Deployment:
        """Make what is asked for what serves. See `Reconciler.deploy`."""
        return self.reconciler.deploy(self.ensemble(request.ensemble), request)

    def choose(self, ensemble: str, weights: Mapping[int, float], *, who: str, why: str, force: bool = False) -> Deployment:
        """Make these versions, with these weights, what serves. See `choice_request` and `Reconciler.deploy`."""
        from headrace.usecases.deploy.choose import choice_request

        spec, history = self.ensemble(ensemble), self.history.deployments(ensemble)
        request = choice_request(history, ensemble=spec, registry=self.registry, weights=weights, who=who, why=why, force=force)
        return self.reconciler.deploy(spec, request)

    def rollback(self, ensemble: str, *, to: int | None = None, who: str, why: str) -> Deployment:
        """Make an earlier revision what serves: `to`, or the one before. See `rollback_request` and `Reconciler.deploy`."""
        from headrace.usecases.deploy.rollback import rollback_request

        spec, history = self.ensemble(ensemble), self.history.deployments(ensemble)
        request = rollback_request(history, ensemble=spec, registry=self.registry, to=to, who=who, why=why)
        return self.reconciler.deploy(spec, request)

    def release(self, ensemble: str, version: int) -> bool:
        """Let a version that a rollback rejected be chosen again; False when it was not rejected. See `slots.release`."""
        from headrace.usecases.deploy.slots import release

        return release(self.registry, self.ensemble(ensemble).model, version)

    def unreconciled(self) -> list[str]:
        """The ensembles that do not serve what is desired; cheap enough to ask every second."""
        return list(self.desires())

    def desires(self) -> dict[str, str]:
        """What `unreconciled` names, and what is desired of each. See `DesireWatch.desires`."""
        return self.desire_watch.desires(self.ensembles)

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
