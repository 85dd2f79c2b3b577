"""A step is a command: `python -m headrace.steps NAME`, its spec as JSON in `HEADRACE_STEP`, its result in the store.

Specs are complete: a step reads no file of the pipeline's author, so that it runs the same in a process and in a pod.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from headrace.specs.base import Spec
from headrace.specs.dataset import DatasetVersion, Name, StepResources
from headrace.specs.gate import Verdict
from headrace.specs.pipeline import PipelineSpec
from headrace.specs.serving import Endpoint, SlotMember
from headrace.specs.training import Candidate

ENVIRONMENT_KEY = "HEADRACE_STEP"


def run_name(run_id: str) -> str:
    """An orchestrator's run id as a part of a key: `manual__2026-11-21T11:00:00+00:00` → `manual__2026-11-21T11-00-00-00-00`."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", run_id)


class Placement(StrEnum):
    """Where the command of a step runs when the installation runs pods."""

    POD = "pod"
    """In a pod of its own, which of the platform reaches the object store alone: for steps that turn data into data."""
    BESIDE_SCHEDULER = "beside_scheduler"
    """As a process of the orchestrator's task: for steps that change what the platform itself knows and does. They need the
    database, the registry and the serving backend, and no pod that handles data is ever given those credentials."""


class Step(Spec):
    """What every step is handed."""

    name: ClassVar[str]
    placement: ClassVar[Placement]
    pipeline: PipelineSpec
    run: str
    """The run's name (see `run_name`)."""

    @property
    def identity(self) -> str:
        """What the step works on, alone: no two commands of one identity run at a time."""
        return f"{self.pipeline.name}/{self.run}/{self.name}"

    @property
    def resources(self) -> StepResources:
        """What its pod asks for."""
        return StepResources()

    @property
    def timeout_minutes(self) -> int:
        """How long its pod may live."""
        return 60

    @property
    def prefix(self) -> str:
        """Key prefix of everything the step writes, ending in `/`."""
        return f"runs/{self.pipeline.name}/{self.run}/{self.name}/"

    @property
    def result_key(self) -> str:
        """Where the step puts its result, last."""
        return f"{self.prefix}result.json"


class IngestStep(Step):
    """Make a dataset version from the source, whatever there is already; its result is the `DatasetVersion`.

    Its identity is the dataset: of all runs of all pipelines that want it made, one at a time makes it.
    """

    name: ClassVar[str] = "ingest"
    placement: ClassVar[Placement] = Placement.POD

    @property
    def identity(self) -> str:
        """The dataset's."""
        return f"ingest/{self.pipeline.dataset.name}"

    @property
    def resources(self) -> StepResources:
        """As the dataset's author says."""
        return self.pipeline.dataset.resources

    @property
    def timeout_minutes(self) -> int:
        """As the dataset's author says."""
        return self.pipeline.dataset.timeout_minutes


class Materialised(Spec):
    """The version to train on, and how it came to be."""

    version: DatasetVersion
    cached: bool
    """Whether an existing version was used."""
    reason: str


class EvaluateStep(Step):
    """Measure a candidate on the validation split (`usecases.gate.measure`); its result is the `Evidence`.

    Its identity is the version: a run evaluates several members at once.
    """

    name: ClassVar[str] = "evaluate"
    placement: ClassVar[Placement] = Placement.POD
    member: str
    model: Name
    version: int
    """The candidate's; its files are published."""
    champion: int | None
    """The version of the same model that it is held against; None when it replaces none."""
    dataset: DatasetVersion

    @property
    def identity(self) -> str:
        """The version's, in this run."""
        return f"{super().identity}/{self.model}/{self.version}"

    @property
    def prefix(self) -> str:
        """The member's, in this run."""
        return f"runs/{self.pipeline.name}/{self.run}/{self.name}.{self.member}/"

    @property
    def resources(self) -> StepResources:
        """As the gate's author says."""
        return self.pipeline.gate.resources

    @property
    def timeout_minutes(self) -> int:
        """As the gate's author says."""
        return self.pipeline.gate.timeout_minutes


class JoinStep(Step):
    """Let a candidate that has passed its gate serve before the run's final choice, if it may; its result is a `JoinResult`.

    Its identity is the candidate: the members of a run join one after the other, but wait for nobody in particular.
    """

    name: ClassVar[str] = "join"
    placement: ClassVar[Placement] = Placement.BESIDE_SCHEDULER
    candidate: Candidate
    verdict: Verdict
    """The gate's."""
    size: int
    """The most members that may serve."""
    who: str
    """Asks for the run."""

    @property
    def identity(self) -> str:
        """The candidate's, in this run."""
        return f"{super().identity}/{self.candidate.member}"

    @property
    def prefix(self) -> str:
        """The member's, in this run."""
        return f"runs/{self.pipeline.name}/{self.run}/{self.name}.{self.candidate.member}/"


class JoinResult(Spec):
    """What became of a candidate before the final choice."""

    revision: int | None
    """The one that it serves in since then; None when it waits for the final choice."""
    reason: str


class PromoteStep(Step):
    """Choose the candidates that do best together on validation, and make them what serves."""

    name: ClassVar[str] = "promote"
    placement: ClassVar[Placement] = Placement.BESIDE_SCHEDULER
    candidates: tuple[Candidate, ...]
    """Those that may be chosen: they have passed their gates, and a person has approved them where one is asked."""
    verdicts: tuple[Verdict, ...] = ()
    """The gates', for the history."""
    dataset: DatasetVersion
    """The one that the gates measured them on."""
    size: int
    """The most that may be chosen."""
    who: str
    """Asks for the run."""


class PromoteResult(Spec):
    """What serves after a promotion, and what it replaced."""

    endpoint: Endpoint
    members: tuple[SlotMember, ...]
    former: tuple[SlotMember, ...]
    """The members that served before; empty for a first promotion."""
    digest: str
    """Of the applied document."""
    revision: int
    """Of the ensemble's history."""
    on_trial: bool = False
    """Whether it is a canary yet: `former` gets the other requests, and later passes take it on or back."""
    accuracy: float
    """Of the chosen ones together, on the validation split."""
    alone: dict[str, float]
    """That of each candidate alone, by version."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Candidates that could not be chosen, by version, and why."""


class Verification(Spec):
    """How far an endpoint's answers are from the recorded ones."""

    requests: int
    largest_difference: float
    """Absolute, over all probabilities of all members and of the aggregate."""
