"""Serving: the ensemble an author declares, and the members a deployment is rendered from."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from headrace.specs.base import Spec
from headrace.specs.canary import CanarySpec
from headrace.specs.dataset import Name, Sha256


class Combiner(StrEnum):
    """How the members' answers become one."""

    MEAN = "mean"


class Approval(StrEnum):
    """Who lets a candidate that passed its gate serve."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"
    """A person, by the version's tag `headrace.approval` in the registry."""


class Progressive(StrEnum):
    """When the candidates of a run begin to serve one by one, before its final choice."""

    FIRST = "first"
    """While nothing else serves."""
    NEVER = "never"
    ALWAYS = "always"
    """Each takes the place of a former member once there is no other."""


class NodeResources(Spec):
    """What a container of a graph reserves on a cluster, in Kubernetes' own units. Memory is a limit as well; CPU is not."""

    cpu: str = "100m"
    memory: str = "512Mi"


class Autoscaling(Spec):
    """More replicas of each node under load, on a cluster (a HorizontalPodAutoscaler); `replicas` is the fewest there are."""

    max_replicas: int = Field(ge=1, le=32)
    cpu_percent: int = Field(default=70, ge=1, le=100)
    """Of what the node reserves; replicas are added above it and taken away below."""


class LogMode(StrEnum):
    """What the request log gets."""

    ALL = "all"
    REQUEST = "request"
    RESPONSE = "response"


class RequestLog(Spec):
    """Where Seldon's executor sends what the endpoint is asked and answers, as CloudEvents."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")]
    mode: LogMode = LogMode.ALL


class EnsembleSpec(Spec):
    """What serves: at most `size` candidates of a registered model that do best together, each in a slot of its own."""

    name: Name
    """The deployment's name, and the endpoint's."""
    model: Name
    """The registered model. Its aliases `slot-1` … `slot-N` are the desired state."""
    size: int = Field(default=2, ge=1, le=8)
    minimum: int = Field(default=1, ge=1, le=8)
    """The fewest that the final choice of a run is made of. A run that asks for fewer gets as many as it asks for."""
    weighted: bool = False
    """Whether the choice gives its members weights; they weigh the same otherwise."""
    approval: Approval = Approval.AUTOMATIC
    approval_within: timedelta = Field(default=timedelta(days=1), gt=timedelta(0))
    """How long a candidate waits for a person, and is left out when nobody came (ISO 8601: `PT12H`)."""
    progressive: Progressive = Progressive.FIRST
    canary: CanarySpec | None = None
    """Whether a new choice is first tried on a share of the requests; None: it serves as soon as it has proved itself."""
    replicas: int = Field(default=2, ge=1, le=16)
    """Of each node."""
    combiner: Combiner = Combiner.MEAN
    tolerance: float = Field(default=1e-4, gt=0)
    """Largest absolute difference allowed between a served probability and the one recorded at training."""
    resources: NodeResources = NodeResources()
    """Of each replica of a node, on a cluster."""
    executor_resources: NodeResources = NodeResources(memory="128Mi")
    """Of each replica of Seldon's executor, which walks the graph."""
    autoscaling: Autoscaling | None = None
    max_unavailable: int | None = Field(default=None, ge=1)
    """How many of the graph's pods may be taken away at once when nodes of a cluster are drained (a PodDisruptionBudget)."""
    request_log: RequestLog | None = None

    @model_validator(mode="after")
    def _minimum_fits(self) -> EnsembleSpec:
        if self.minimum > self.size:
            raise ValueError(f"minimum is {self.minimum}, but size is {self.size}")
        return self

    @model_validator(mode="after")
    def _autoscaling_fits(self) -> EnsembleSpec:
        if self.autoscaling and self.autoscaling.max_replicas < self.replicas:
            raise ValueError(f"autoscaling.max_replicas is {self.autoscaling.max_replicas}, but replicas is {self.replicas}")
        return self


def slot_alias(slot: int) -> str:
    """The registry alias that stands for the slot of this number."""
    return f"slot-{slot}"


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
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """What the member's vote counts in the ensemble's mean, beside those of the others."""
    dataset_version: str = ""
    """What it was trained on; empty for a version that does not say."""

    @property
    def alias(self) -> str:
        """The registry alias that stands for the slot."""
        return slot_alias(self.slot)


class Endpoint(Spec):
    """An address that answers predictions."""

    name: str
    namespace: str
    url: str
