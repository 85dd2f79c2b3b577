"""Whether a canary goes on, goes back, or waits for more requests. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from headrace.specs.canary import CanaryFigures, CanaryMode, CanarySpec, TooFew
from headrace.usecases.canary.statistics import excess_at_least

_FEW_MINUTES = timedelta(minutes=2)


class Outcome(Enum):
    """What to do about a canary."""

    ON = auto()
    """The new ensemble takes over."""
    BACK = auto()
    """The former one does."""
    WAIT = auto()


@dataclass(frozen=True)
class Decision:
    """What to do, and why, with the figures."""

    outcome: Outcome
    reason: str


def decide(canary: CanarySpec, figures: CanaryFigures, *, elapsed: timedelta, agreement: float | None) -> Decision:
    """Judge by what was counted up to now.

    An error rate that is shown to be too high ends a canary at once, however few requests show it. Latency and the agreement of a
    shadow are judged from `canary.enough` requests on. What is within all limits goes on when the canary is over.

    Args:
        canary: its limits.
        figures: of both ensembles since it began.
        elapsed: since then.
        agreement: of both on the validation split; None when they were not both measured on one. A shadow's is its figures'.
    """
    agreement = figures.agreement if canary.mode is CanaryMode.SHADOW else agreement
    counted = f"{figures}{'' if agreement is None else f'; they agree on {100 * agreement:.1f} % of the examples'}"
    few = min(figures.new.requests, figures.former.requests) < canary.enough
    if worse := _worse(canary, figures, agreement, few=few):
        return Decision(Outcome.BACK, f"{worse}. {counted}")
    if not is_over(canary, figures, elapsed):
        return Decision(Outcome.WAIT, f"for {_spoken(elapsed)} of {_spoken(canary.duration)}. {counted}")
    if few:
        return _with_too_few(canary, elapsed, counted)
    if unproven := _unproven(canary, figures, agreement):
        return Decision(Outcome.BACK, f"{unproven}. {counted}")
    return Decision(Outcome.ON, f"within its limits after {_spoken(elapsed)}. {counted}")


def is_over(canary: CanarySpec, figures: CanaryFigures, elapsed: timedelta) -> bool:
    """Whether its time is over, or it has had its requests."""
    return elapsed >= canary.duration or (canary.requests is not None and figures.new.requests >= canary.requests)


def _worse(canary: CanarySpec, figures: CanaryFigures, agreement: float | None, *, few: bool) -> str:
    """Which limit is passed beyond doubt; empty for none."""
    new, former = figures.new, figures.former
    excess = excess_at_least(new, former, canary.significance)
    if excess > canary.error_rate:
        return f"it fails at {100 * excess:.2f} % more of its requests at least; {100 * canary.error_rate:.4g} % are allowed"
    if not few and new.latency is not None and former.latency and new.latency > canary.latency_ratio * former.latency:
        return f"it takes {new.latency / former.latency:.2f} times as long; {canary.latency_ratio:.4g} times is allowed"
    told = canary.mode is CanaryMode.CANARY or figures.compared >= canary.enough
    if canary.agreement is not None and agreement is not None and told and agreement < canary.agreement:
        return f"both agree on {100 * agreement:.1f} % of the examples only; {100 * canary.agreement:.4g} % are asked for"
    return ""


def _unproven(canary: CanarySpec, figures: CanaryFigures, agreement: float | None) -> str:
    """Which limit is not shown to be kept now that it is over; empty for none."""
    new, former = figures.new.error_rate or 0.0, figures.former.error_rate or 0.0
    if new - former > canary.error_rate:
        return f"it failed at {100 * (new - former):.2f} % more of its requests; {100 * canary.error_rate:.4g} % are allowed"
    if figures.new.latency is None or figures.former.latency is None:
        return "one of both answered nothing, so that their latencies cannot be compared"
    if canary.agreement is not None and agreement is None:
        return "how often both agree is asked for and not known"
    return ""


def _with_too_few(canary: CanarySpec, elapsed: timedelta, counted: str) -> Decision:
    outcome = {TooFew.BACK: Outcome.BACK, TooFew.ON: Outcome.ON, TooFew.WAIT: Outcome.WAIT}[canary.too_few]
    reason = f"too few requests in {_spoken(elapsed)} to tell, {canary.enough} of each ensemble are needed"
    return Decision(outcome, f"{reason} (too_few: {canary.too_few}). {counted}")


def _spoken(time: timedelta) -> str:
    return f"{time / timedelta(seconds=1):.3g} s" if time < _FEW_MINUTES else f"{time / timedelta(minutes=1):.4g} min"
