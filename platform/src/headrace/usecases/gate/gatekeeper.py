"""The gate from end to end: what is measured, against what, and what becomes of the verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headrace.errors import NotFoundError
from headrace.ports.registry import ModelRegistry
from headrace.ports.serving import ServingBackend
from headrace.ports.store import ObjectStore
from headrace.render.seldon import members_of
from headrace.specs.dataset import DatasetVersion
from headrace.specs.gate import Evidence, Verdict
from headrace.specs.pipeline import PipelineSpec
from headrace.specs.step import EvaluateStep
from headrace.specs.training import Candidate
from headrace.usecases.gate.champion import Incumbent, champion_of
from headrace.usecases.gate.judge import judge
from headrace.usecases.gate.record import Recorder
from headrace.usecases.publish import publish


@dataclass(frozen=True, kw_only=True)
class Gatekeeper:
    """Decides who may serve. What is measured runs between its two methods, wherever the installation runs steps.

    Attributes:
        namespace: where graphs live.
    """

    registry: ModelRegistry
    serving: ServingBackend
    store: ObjectStore
    recorder: Recorder
    namespace: str

    def prepare(self, pipeline: PipelineSpec, candidate: Candidate, *, run: str, dataset: DatasetVersion) -> EvaluateStep:
        """Publish the candidate's files, choose its champion, and return the step that measures them.

        Raises:
            NotFoundError: the registry has no such version.
            CorruptError: the version lacks a file that serving needs.
        """
        publish(candidate.model, candidate.version, slot=1, registry=self.registry, store=self.store)
        return EvaluateStep(
            pipeline=pipeline,
            run=run,
            member=candidate.member,
            model=candidate.model,
            version=candidate.version,
            champion=champion_of(candidate.member, run, self._serving(pipeline)),
            dataset=dataset,
        )

    def conclude(self, step: EvaluateStep, evidence: Evidence, *, run_id: str) -> Verdict:
        """Judge what was measured and record the verdict; `run_id` is the MLflow run that trained the candidate."""
        verdict = judge(evidence, step.pipeline.gate)
        self.recorder.record(verdict, evidence, run_id=run_id, classes=step.pipeline.dataset.classes)
        return verdict

    def _serving(self, pipeline: PipelineSpec) -> Iterable[Incumbent]:
        document = self.serving.get(self.namespace, pipeline.ensemble.name)
        for member in members_of(document) if document else ():
            if member.model == pipeline.ensemble.model:
                yield self._incumbent(member.model, member.version)

    def _incumbent(self, model: str, version: int) -> Incumbent:
        try:
            return Incumbent.of(self.registry.version(model, version))
        except NotFoundError:  # deleted while it serves; serving has its files, and nobody its tags
            return Incumbent(version)
