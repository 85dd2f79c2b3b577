"""A pipeline as its author writes it (one YAML file beside its DAG), and one run of it as a person asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, StringConstraints, ValidationError, model_validator

from headrace.errors import InvalidSpecError, NotFoundError
from headrace.specs.base import Spec
from headrace.specs.dataset import DatasetSpec
from headrace.specs.gate import GateSpec
from headrace.specs.serving import EnsembleSpec
from headrace.specs.training import MemberSpec, TrainingJob, TrainingSpec

PipelineName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


TRAINING_TASK = "train_"
"""What the orchestrator calls a member's training: this and the member's name."""
GATE_TASK = "gate_"
"""Likewise for the gate that a member's candidate has to pass."""
APPROVAL_TASK = "approve_"
"""Likewise for the person who has to approve it, where one is asked."""
JOIN_TASK = "join_"
"""Likewise for its joining what serves."""


class PipelineSpec(Spec):
    """Everything a pipeline needs, complete and checked."""

    name: PipelineName
    description: str
    schedule: str | None = None
    """A cron expression, or nothing: triggered by hand."""
    dataset: DatasetSpec
    training: TrainingSpec = TrainingSpec()
    members: dict[PipelineName, MemberSpec] = Field(min_length=1)
    gate: GateSpec = GateSpec()
    """What a candidate must be before it may serve."""
    ensemble: EnsembleSpec
    folder: Path = Path()
    """Where the file lies; relative paths in it start there. Set by the loader."""

    @model_validator(mode="after")
    def _ensemble_fits(self) -> PipelineSpec:
        if self.ensemble.size > len(self.members):
            raise ValueError(f"ensemble.size is {self.ensemble.size}, but there are only {len(self.members)} members")
        return self

    def member(self, name: str) -> MemberSpec:
        """One member's spec.

        Raises:
            NotFoundError: the pipeline has no such member.
        """
        try:
            return self.members[name]
        except KeyError:
            known = ", ".join(self.members)
            raise NotFoundError(f"no member `{name}`", where=f"pipeline {self.name}", remedy=f"Known: {known}.") from None


class RunRequest(Spec):
    """One run as asked for in the trigger form. What is not said comes from the pipeline's spec."""

    force_refresh: bool = False
    epochs: int = Field(ge=1, le=200)
    workers: int = Field(ge=1, le=16)
    members: tuple[str, ...] = Field(min_length=1)
    ensemble_size: int = Field(ge=1, le=8)

    @classmethod
    def defaults(cls, spec: PipelineSpec) -> RunRequest:
        """What a trigger without any choice asks for."""
        return cls(
            epochs=spec.training.epochs,
            workers=spec.training.workers,
            members=tuple(spec.members),
            ensemble_size=spec.ensemble.size,
        )

    @classmethod
    def parse(cls, spec: PipelineSpec, params: Mapping[str, Any]) -> RunRequest:
        """Check the parameters of a run against each other and against the pipeline.

        Raises:
            InvalidSpecError: a value is malformed, a member unknown, or the ensemble larger than the choice of members.
        """
        where = f"parameters of a run of {spec.name}"
        try:
            request = cls.model_validate(dict(params))
        except ValidationError as error:
            raise InvalidSpecError(_first(error), where=where, remedy="Correct it in the trigger form.") from error
        for name in request.members:
            spec.member(name)
        if request.ensemble_size > len(request.members):
            raise InvalidSpecError(
                f"an ensemble of {request.ensemble_size} cannot be made of {len(request.members)} member(s)",
                where=where,
                remedy="Choose more members to train or a smaller ensemble.",
            )
        return request

    def job(self, spec: PipelineSpec, member: str, **identity: Any) -> TrainingJob:
        """The training job of one member in this run; `identity` gives `run` and `dataset`."""
        training = spec.training.model_copy(update={"epochs": self.epochs, "workers": self.workers})
        return TrainingJob(
            pipeline=spec.name,
            name=member,
            member=spec.member(member),
            training=training,
            model=spec.ensemble.model,
            **identity,
        )


def load_pipeline(path: Path) -> PipelineSpec:
    """Read and check a pipeline's YAML file.

    Raises:
        NotFoundError: there is no such file.
        InvalidSpecError: it is not YAML, a key is unknown or missing, or a value malformed; names file and key.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml"))) or "none"
        raise NotFoundError("the pipeline's spec does not exist", where=str(path), remedy=f"Here are: {known}.") from error
    except yaml.YAMLError as error:
        raise InvalidSpecError("the pipeline's spec is not YAML", where=str(path), remedy=str(error)) from error
    if not isinstance(content, dict):
        raise InvalidSpecError("the pipeline's spec is not a mapping", where=str(path), remedy="Write `key: value` lines.")
    try:
        return PipelineSpec.model_validate({**content, "folder": path.parent.absolute()})
    except ValidationError as error:
        raise InvalidSpecError(_first(error), where=str(path), remedy="Correct it; unknown keys are refused.") from error


def _first(error: ValidationError) -> str:
    details = error.errors()
    key = ".".join(str(part) for part in details[0]["loc"]) or "the whole"
    others = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"`{key}`: {details[0]['msg']}{others}"
