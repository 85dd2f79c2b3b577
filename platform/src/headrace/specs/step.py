"""A step is a command: `python -m headrace.steps NAME`, its spec as JSON in `HEADRACE_STEP`, its result in the store.

Specs are complete: a step reads no file of the pipeline's author, so that it runs the same in a process and in a pod.
"""

from __future__ import annotations

import re
from typing import ClassVar

from headrace.specs.base import Spec
from headrace.specs.dataset import DatasetVersion
from headrace.specs.pipeline import PipelineSpec
from headrace.specs.serving import Endpoint, SlotMember
from headrace.specs.training import Candidate

ENVIRONMENT_KEY = "HEADRACE_STEP"


def run_name(run_id: str) -> str:
    """An orchestrator's run id as a part of a key: `manual__2026-11-21T11:00:00+00:00` → `manual__2026-11-21T11-00-00-00-00`."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", run_id)


class Step(Spec):
    """What every step is handed."""

    name: ClassVar[str]
    pipeline: PipelineSpec
    run: str
    """The run's name (see `run_name`)."""

    @property
    def prefix(self) -> str:
        """Key prefix of everything the step writes, ending in `/`."""
        return f"runs/{self.pipeline.name}/{self.run}/{self.name}/"

    @property
    def result_key(self) -> str:
        """Where the step puts its result, last."""
        return f"{self.prefix}result.json"


class IngestStep(Step):
    """Make a dataset version from the source."""

    name: ClassVar[str] = "ingest"
    force: bool = False


class IngestResult(Spec):
    """The version to train on, and how it came to be."""

    version: DatasetVersion
    cached: bool
    """Whether an existing version was used."""
    reason: str


class PromoteStep(Step):
    """Choose the best candidates and make them what serves."""

    name: ClassVar[str] = "promote"
    candidates: tuple[Candidate, ...]
    size: int


class PromoteResult(Spec):
    """What serves after a promotion, and what it replaced."""

    endpoint: Endpoint
    members: tuple[SlotMember, ...]
    former: tuple[SlotMember, ...]
    """The members that served before; empty for a first promotion."""
    digest: str
    """Of the applied document."""
    ranking: tuple[Candidate, ...]
    """All candidates, best first."""


class VerifyStep(Step):
    """Ask the endpoint what was recorded at training; put the former graph back if it answers otherwise."""

    name: ClassVar[str] = "verify"
    promotion: PromoteResult


class VerifyResult(Spec):
    """How far the endpoint's answers are from the recorded ones."""

    requests: int
    largest_difference: float
    """Absolute, over all probabilities of all members and of the aggregate."""
