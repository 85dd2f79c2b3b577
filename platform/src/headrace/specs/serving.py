"""Serving: the ensemble an author declares, and the members a deployment is rendered from."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, field_validator

from headrace.specs.base import Spec
from headrace.specs.dataset import Name, Sha256


class Combiner(StrEnum):
    """How the members' answers become one."""

    MEAN = "mean"


class EnsembleSpec(Spec):
    """What serves: the best `size` candidates of a registered model, each in a slot of its own."""

    name: Name
    """The deployment's name, and the endpoint's."""
    model: Name
    """The registered model. Its aliases `slot-1` … `slot-N` are the desired state."""
    size: int = Field(default=2, ge=1, le=8)
    replicas: int = Field(default=2, ge=1, le=16)
    """Of each node."""
    combiner: Combiner = Combiner.MEAN
    metric: str = "validation_accuracy"
    """Candidates are ranked by it, higher is better. Never one measured on the test split."""
    tolerance: float = Field(default=1e-4, gt=0)
    """Largest absolute difference allowed between a served probability and the one recorded at training."""

    @field_validator("metric")
    @classmethod
    def _never_the_test_split(cls, metric: str) -> str:
        if metric.startswith("test"):
            raise ValueError("candidates are chosen on the validation split; a metric of the test split is only reported")
        return metric


class SlotMember(Spec):
    """One slot of an ensemble, filled: all a manifest needs to serve it."""

    slot: int = Field(ge=1)
    model: Name
    version: int
    run_id: str
    location: str
    """Where the node reads the model's files: a folder (embedded) or a URI (cluster)."""
    digest: Sha256
    """Of the served files."""

    @property
    def alias(self) -> str:
        """The registry alias that stands for the slot."""
        return f"slot-{self.slot}"


class Endpoint(Spec):
    """An address that answers predictions."""

    name: str
    namespace: str
    url: str
