"""A canary: a share of the requests goes to a new ensemble first, which goes on or back by what was counted meanwhile."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from headrace.specs.base import Spec

_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


def _fraction(value: Any) -> Any:
    """`10%` as 0.1; anything else as it is."""
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) / 100 if found else value


Share = Annotated[float, BeforeValidator(_fraction), Field(gt=0, lt=1, allow_inf_nan=False)]
"""Of the requests: `10%`, or 0.1."""


class CanaryMode(StrEnum):
    """What becomes of the new ensemble's answers."""

    CANARY = "canary"
    """They are the callers'."""
    SHADOW = "shadow"
    """Nobody's: each request of the share is answered by the former ensemble, and asked of the new one beside that."""


class TooFew(StrEnum):
    """What a canary does whose time is over before there were enough requests to tell."""

    BACK = "back"
    ON = "on"
    WAIT = "wait"
    """For more, without an end."""


class CanarySpec(Spec):
    """When a new ensemble is tried on a share of the requests, how long, and what it must not do worse than the former one."""

    share: Share
    """Of the requests, that the new ensemble gets."""
    mode: CanaryMode = CanaryMode.CANARY
    duration: timedelta = Field(default=timedelta(minutes=30), gt=timedelta(0))
    """After it, the canary is over (ISO 8601: `PT30M`)."""
    requests: int | None = Field(default=None, ge=1)
    """It is over as soon as the new ensemble has had so many, if that is earlier."""
    minimum: int = Field(default=100, ge=1)
    """The fewest requests of each ensemble that anything but the error rate is judged on, and that going on takes. Never more
    than `requests`."""
    too_few: TooFew = TooFew.BACK
    error_rate: float = Field(default=0.01, ge=0, lt=1)
    """How much larger the share of its requests that fail may be than the former ensemble's."""
    latency_ratio: float = Field(default=1.5, gt=0, allow_inf_nan=False)
    """How many times as long as the former ensemble's its answers may take, on average."""
    agreement: float | None = Field(default=None, ge=0, le=1)
    """The least share of examples that both ensembles must answer with the same class; None for no limit, because an ensemble
    that is better answers otherwise. Of a canary the examples are the validation split, of a shadow the requests themselves."""
    significance: float = Field(default=0.05, gt=0, lt=0.5)
    """How often an ensemble whose error rate is within the limit may be sent back early because of it, at most."""

    @model_validator(mode="before")
    @classmethod
    def _share_alone(cls, value: Any) -> Any:
        """`canary: 10%`, all else by default."""
        return {"share": value} if isinstance(value, str | float) else value

    @property
    def enough(self) -> int:
        """How many requests of each ensemble are enough to judge."""
        return self.minimum if self.requests is None else min(self.minimum, self.requests)

    @property
    def percent(self) -> str:
        """The share, for people."""
        return f"{100 * self.share:.4g} %"


class BranchFigures(Spec):
    """What was counted of one of two ensembles while both were asked."""

    requests: int = Field(default=0, ge=0)
    """That it answered, or failed at."""
    errors: int = Field(default=0, ge=0)
    """Those that were not answered with success: refused, failed, or out of time."""
    seconds: float = Field(default=0.0, ge=0)
    """That all its answers took together, without the failed ones."""

    def __add__(self, other: BranchFigures) -> BranchFigures:
        """What two that run the same graph have counted together."""
        return BranchFigures(
            requests=self.requests + other.requests, errors=self.errors + other.errors, seconds=self.seconds + other.seconds
        )

    @property
    def error_rate(self) -> float | None:
        """The share that failed; None before the first request."""
        return self.errors / self.requests if self.requests else None

    @property
    def latency(self) -> float | None:
        """Seconds that an answer took on average; None before the first one."""
        answered = self.requests - self.errors
        return self.seconds / answered if answered > 0 else None

    def __str__(self) -> str:
        """In words, as the history says it."""
        if not self.requests:
            return "no requests"
        failed = f"{self.errors} of {self.requests} requests failed ({100 * self.errors / self.requests:.2f} %)"
        return failed if self.latency is None else f"{failed}, answers took {1000 * self.latency:.1f} ms"


class CanaryFigures(Spec):
    """What was counted of a canary since it began, or since the processes that count started anew."""

    former: BranchFigures = BranchFigures()
    new: BranchFigures = BranchFigures()
    compared: int = Field(default=0, ge=0)
    """Examples that both answered; only a shadow has any."""
    agreed: int = Field(default=0, ge=0)
    """Of these, with the same class."""

    def __add__(self, other: CanaryFigures) -> CanaryFigures:
        """What two processes that run the same graph have counted together."""
        return CanaryFigures(
            former=self.former + other.former,
            new=self.new + other.new,
            compared=self.compared + other.compared,
            agreed=self.agreed + other.agreed,
        )

    @property
    def agreement(self) -> float | None:
        """The share of answers that were the same; None where none were compared."""
        return self.agreed / self.compared if self.compared else None

    def __str__(self) -> str:
        """In words, as the history says it."""
        return f"new: {self.new}; former: {self.former}"
