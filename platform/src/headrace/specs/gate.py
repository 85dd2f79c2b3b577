"""The gate: what a candidate must be before it may serve, what was measured of it, and what was found."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from headrace.specs.base import Spec
from headrace.specs.dataset import Name, StepResources

GATE_TAG = "headrace.gate"
"""Of a registered version: `passed` or `failed`; `headrace.gate.<check>` says what each check found."""
PASSED, FAILED = "passed", "failed"


class Comparison(StrEnum):
    """How a candidate is held against what it would replace."""

    MCNEMAR = "mcnemar"
    """By which examples each gets right; the margin is a share of the examples."""
    BOOTSTRAP = "bootstrap"
    """By what each example costs (the negative log-likelihood of its class); the margin is in the same unit, nats."""


class InvarianceSpec(Spec):
    """Changes that must not change an answer: a small shift in each of four directions, and more or less light."""

    shift_pixels: int = Field(default=1, ge=0, le=8)
    """0 leaves the shifts out."""
    brightness: float = Field(default=0.1, ge=0, lt=1)
    """Pixels are multiplied by 1 ± this; 0 leaves that out."""
    max_flips: float = Field(default=0.25, ge=0, le=1)
    """The share of answers that one such change may change."""


class FunctionalitySpec(Spec):
    """What any network worth its name gets right: the examples nearest to their class's mean."""

    per_class: int = Field(default=20, ge=1)
    floor: float = Field(default=0.8, ge=0, le=1)
    """The share of them that must be right."""


class GateSpec(Spec):
    """What must hold on the validation split; every line is a check. A limit of null leaves its check out."""

    comparison: Comparison = Comparison.MCNEMAR
    margin: float = Field(default=0.01, ge=0)
    """How much worse than what it would replace a candidate may be."""
    significance: float = Field(default=0.05, gt=0, lt=0.5)
    """How improbable it must be that chance alone makes a candidate look worse than that, before it is refused."""
    floor: float = Field(default=0.5, ge=0, le=1)
    """Of the accuracy."""
    slice_floor: float = Field(default=0.1, ge=0, le=1)
    """Of the accuracy on each slice; the classes are the slices."""
    slice_drop: float = Field(default=0.2, ge=0, le=1)
    """How far the accuracy on a slice may lie below that of what would be replaced."""
    invariance: InvarianceSpec = InvarianceSpec()
    functionality: FunctionalitySpec = FunctionalitySpec()
    ece: float | None = Field(default=0.1, ge=0, le=1)
    """Of the expected calibration error: how far confidence and accuracy lie apart on average."""
    size_mb: float | None = Field(default=100.0, gt=0)
    """Of the network's file, in 10⁶ bytes."""
    p99_ms: float | None = Field(default=100.0, gt=0)
    """Of one prediction in process, one example and one thread: 99 in a hundred take no longer."""
    parity: float | None = Field(default=1e-4, gt=0)
    """The largest absolute difference between a probability of the trained network, as recorded at training, and the served
    one's. A version without such a record is refused: what cannot be shown does not hold."""
    resources: StepResources = StepResources()
    """Of the pod that measures."""
    timeout_minutes: int = Field(default=20, ge=1)
    """How long measuring may take."""


class SliceEvidence(Spec):
    """One slice of the validation split."""

    name: str
    rows: int = Field(ge=1)
    right: int
    champion_right: int | None = None

    @property
    def accuracy(self) -> float:
        """The candidate's."""
        return self.right / self.rows

    @property
    def champion_accuracy(self) -> float | None:
        """That of what serves; None when nothing does."""
        return None if self.champion_right is None else self.champion_right / self.rows

    @property
    def drop(self) -> float | None:
        """By how much the candidate is worse; negative when it is better, None when nothing serves."""
        return None if self.champion_right is None else (self.champion_right - self.right) / self.rows


class CalibrationBin(Spec):
    """The answers whose confidence falls between two limits (see `usecases.gate.statistics.calibration_bins`)."""

    rows: int
    confidence: float
    """Their mean; 0 without rows."""
    accuracy: float


class ChampionEvidence(Spec):
    """The version that serves, on the same examples as the candidate."""

    version: int
    right: int
    only_candidate: int
    """Examples that the candidate alone gets right."""
    only_champion: int
    loss_increase: float
    """By how much the candidate's mean loss is higher."""
    least_loss_increase: float
    """The lower end of that difference's one-sided confidence interval (see `usecases.gate.statistics.paired_bootstrap`)."""


class FunctionalityEvidence(Spec):
    """What became of the examples nearest to their class's mean."""

    rows: int
    right: int
    wrong: dict[str, int] = Field(default_factory=dict)
    """By class, where there are any."""


class BehaviourEvidence(Spec):
    """How the network answers what it was not measured on."""

    flips: dict[str, float]
    """The share of answers that each change of the input changed."""
    functionality: FunctionalityEvidence
    hostile: dict[str, float | None]
    """How far from 1 the probabilities for each hostile input sum up at worst; None when one of them is not a finite number."""


class CostEvidence(Spec):
    """What the network takes."""

    size_bytes: int
    p50_ms: float
    p99_ms: float
    """Of one prediction of one example, in process, on one thread."""


class Evidence(Spec):
    """Everything that was measured of a candidate: numbers, no judgement. Its examples are those of the validation split."""

    model: Name
    version: int
    dataset_version: str
    rows: int = Field(ge=1)
    right: int
    champion: ChampionEvidence | None
    slices: tuple[SliceEvidence, ...] = Field(min_length=1)
    confusion: tuple[tuple[int, ...], ...]
    """Rows are the truth, columns the answers; an answer that is not finite stands in none."""
    calibration: tuple[CalibrationBin, ...]
    behaviour: BehaviourEvidence
    cost: CostEvidence
    parity: float | None
    """The largest absolute difference to the trained network's probabilities; None when training recorded none, or one is not
    finite."""

    @property
    def accuracy(self) -> float:
        """The share of examples that the candidate gets right."""
        return self.right / self.rows


class Bound(StrEnum):
    """Which side of its threshold a figure must be on."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


class Check(Spec):
    """One condition: what was found, what was asked for, and whether it holds."""

    name: str
    figure: float | None
    """None when there is none: nothing to compare with, or nothing that is a number."""
    bound: Bound
    threshold: float
    unit: str = ""
    passed: bool
    detail: str = ""

    def __str__(self) -> str:
        """In a line, as the version's tag has it: `0.9132 (at least 0.85) ok`."""
        return f"{self.found} ({self.asked}) {'ok' if self.passed else 'FAILED'}"

    @property
    def found(self) -> str:
        """The figure with its unit."""
        return "none" if self.figure is None else f"{self.figure:.4g} {self.unit}".rstrip()

    @property
    def asked(self) -> str:
        """The threshold and its side."""
        return f"{self.bound} {self.threshold:.4g}"


class Verdict(Spec):
    """Whether a candidate may serve, and why."""

    model: Name
    version: int
    champion: int | None
    """The version it was held against."""
    passed: bool
    checks: tuple[Check, ...] = Field(min_length=1)
    page: str
    """The artifact of the candidate's run that shows it all to a person."""

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.passed)
