"""Training: what a member is, the job that trains it, and what the job reports."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from headrace.specs.base import Spec
from headrace.specs.dataset import DatasetVersion, Name

TRAINING_POOL = "training"
"""The orchestrator's pool that training jobs share: a slot a job."""
RUN_VARIABLE = "MLFLOW_RUN_ID"
"""The run that was opened for the job; its server's address stands in MLFLOW_TRACKING_URI."""
JOB_VARIABLE = "HEADRACE_TRAINING_JOB"
"""The environment variable that hands a worker its job, as JSON."""
THREADS_VARIABLE = "HEADRACE_WORKER_THREADS"
"""How many cores one worker may use inside one operation."""
HOSTS_VARIABLE = "HEADRACE_WORKER_HOSTS"
"""`host:port` of all workers, comma-separated, by rank; read where a pod's index gives the rank and `TF_CONFIG` is absent."""


class Architecture(StrEnum):
    """The networks the trainer knows (`headrace.training.architectures`)."""

    CNN = "cnn"
    CNN_BATCH_NORM = "cnn_batch_norm"
    CNN_DROPOUT = "cnn_dropout"


class Schedule(StrEnum):
    """How the learning rate changes over a training (`headrace.training.schedules`)."""

    CONSTANT = "constant"
    ONE_CYCLE = "one_cycle"
    """A short climb to the learning rate, then a cosine down to 0."""


class Resources(Spec):
    """What one worker asks for, in Kubernetes' own units."""

    cpu: str = "1"
    memory: str = "2Gi"
    gpu: int = Field(default=0, ge=0, le=1)
    """A worker uses one at most; to use more, ask for more workers."""


class Toleration(Spec):
    """A node's taint that workers put up with, as in a pod's spec."""

    key: str | None = None
    """None stands for every taint."""
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str | None = None
    """Compared when the operator is `Equal`."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """None stands for all three."""

    @model_validator(mode="after")
    def _value_fits(self) -> Toleration:
        if (self.operator == "Equal") != (self.value is not None):
            raise ValueError("a `value` goes with operator `Equal`, and only with that")
        return self


class Placement(Spec):
    """Where on a cluster a pipeline's workers run, where it differs from the installation's own settings."""

    priority_class: str | None = None
    queue: str | None = None
    """The Kueue LocalQueue that admits the job; without one, the namespace's quota does."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    schedule_within_seconds: int | None = Field(default=None, ge=1)
    """How long an admitted worker may wait for a node before the job fails with the scheduler's reason."""


class MemberSpec(Spec):
    """One architecture in a pipeline, with what it does not share with the others."""

    architecture: Architecture
    description: str
    """Shown on the run and on the registered version."""
    learning_rate: float | None = Field(default=None, gt=0)


class TrainingSpec(Spec):
    """How every member of a pipeline is trained."""

    workers: int = Field(default=2, ge=1, le=16)
    epochs: int = Field(default=4, ge=1, le=200)
    batch_size: int = Field(default=256, ge=1)
    """Examples in one step, over all workers; rounded up so that each takes an equal share."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Of Adam; the schedule's peak."""
    schedule: Schedule = Schedule.ONE_CYCLE
    seed: int = 0
    golden_rows: int = Field(default=10, ge=1)
    """Validation examples whose predictions are recorded at training and asked again of every replica."""
    resources: Resources = Resources()
    placement: Placement = Placement()
    retries: int = Field(default=1, ge=0)
    timeout_minutes: int = Field(default=60, ge=1)


def job_prefix(pipeline: str, run: str, member: str) -> str:
    """Key prefix of what the member's job of a run writes, ending in `/`."""
    return f"runs/{pipeline}/{run}/train.{member}/"


def progress_key(prefix: str) -> str:
    """Where a job with this prefix puts its progress."""
    return f"{prefix}progress.json"


class TrainingJob(Spec):
    """One member's training, complete: what a worker is handed, as JSON, in `HEADRACE_TRAINING_JOB`.

    The rank comes from `TF_CONFIG`, or from a pod's index and `HEADRACE_WORKER_HOSTS`; `MLFLOW_RUN_ID` and
    `MLFLOW_TRACKING_URI` come from the environment.
    """

    pipeline: str
    run: str
    """The pipeline's run id."""
    name: str
    """The member's name."""
    member: MemberSpec
    training: TrainingSpec
    dataset: DatasetVersion
    model: Name
    """The registered model the candidate will be a version of."""

    @property
    def key(self) -> str:
        """What every try of the job has in common, and no other job: its run and its lock are named by it."""
        return f"{self.pipeline}/{self.run}/{self.name}"

    @property
    def prefix(self) -> str:
        """Key prefix of everything the job writes, ending in `/`. No two jobs share one."""
        return job_prefix(self.pipeline, self.run, self.name)

    @property
    def result_key(self) -> str:
        """Where the result is put, last."""
        return f"{self.prefix}result.json"

    @property
    def progress_key(self) -> str:
        """Where the progress is put while the job runs."""
        return progress_key(self.prefix)

    @property
    def tags(self) -> dict[str, str]:
        """What the job's run and the version it becomes are found by."""
        return {
            "headrace.pipeline": self.pipeline,
            "headrace.run": self.run,
            "headrace.member": self.name,
            "headrace.dataset_version": self.dataset.version,
            "headrace.dataset_digest": self.dataset.digest,
        }

    @property
    def learning_rate(self) -> float:
        """The member's own rate, or the pipeline's."""
        return self.member.learning_rate or self.training.learning_rate


class TrainingProgress(Spec):
    """Where a running job stands; the chief puts it at `<prefix>progress.json` about once a second."""

    epoch: int
    """Epochs finished."""
    epochs: int
    step: int
    """Steps finished in the current epoch."""
    steps: int
    images_per_second: float
    metrics: dict[str, float] = Field(default_factory=dict)
    """The last finished epoch's."""


class TrainingResult(Spec):
    """What the chief reports, last, at `<prefix>result.json`."""

    member: str
    run_id: str
    model_uri: str
    """The logged ONNX model in MLflow (`models:/m-…`)."""
    metrics: dict[str, float]
    """Final values; at least `validation_accuracy`, `validation_loss`, `test_accuracy`, `images_per_second`."""
    epochs: int
    resumed_from: int = 0
    """The epoch whose checkpoint the job started from; 0 for none."""


class Candidate(Spec):
    """A registered model version that does not serve yet."""

    member: str
    model: Name
    version: int
    run_id: str
    metrics: dict[str, float]
