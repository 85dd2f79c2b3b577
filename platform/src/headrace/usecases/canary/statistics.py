"""Bounds of an error rate that may be looked at as often as one likes. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

from headrace.specs.canary import BranchFigures

_HALVINGS = 50


def error_bounds(figures: BranchFigures, significance: float) -> tuple[float, float]:
    """Between which rates the true one lies: a confidence sequence.

    A canary is looked at again and again, and ends when a look shows something; an interval that is made for one look would show
    it too often then. Of s errors in n requests, the likelihood averaged over all rates is B(s + 1, n - s + 1); its ratio to the
    likelihood of the true rate p, p^s (1 - p)^(n - s), is a martingale of mean 1, and passes 1 / significance at any time with
    no more than that probability (Ville's inequality). The bounds are the rates where it is just reached: Robbins, Statistical
    methods related to the law of the iterated logarithm, Annals of Mathematical Statistics 41 (1970); Howard, Ramdas, McAuliffe
    and Sekhon, Time-uniform, nonparametric, nonasymptotic confidence sequences, Annals of Statistics 49 (2021).

    Args:
        figures: what was counted up to now.
        significance: how often, at most, the true rate is outside at any of all looks.
    """
    errors, requests = figures.errors, figures.requests
    if not requests:
        return 0.0, 1.0
    mixture = math.lgamma(errors + 1) + math.lgamma(requests - errors + 1) - math.lgamma(requests + 2)

    def ruled_out(rate: float) -> bool:
        return mixture - _times_log(errors, rate) - _times_log(requests - errors, 1 - rate) >= -math.log(significance)

    observed = errors / requests
    return _boundary(0.0, observed, ruled_out), _boundary(1.0, observed, ruled_out)


def excess_at_least(new: BranchFigures, former: BranchFigures, significance: float) -> float:
    """By how much, at least, the new error rate is above the former one; below 0 where that is not shown.

    Wrong, at any of all looks, with no more than the given probability: each of the two bounds with half of it.
    """
    return error_bounds(new, significance / 2)[0] - error_bounds(former, significance / 2)[1]


def _times_log(count: int, probability: float) -> float:
    """Its logarithm as often as counted; 0 for a count of none, whatever the probability."""
    if not count:
        return 0.0
    return count * math.log(probability) if probability > 0 else -math.inf


def _boundary(outside: float, inside: float, ruled_out: Callable[[float], bool]) -> float:
    """Where rates begin to be ruled out on the way from one that was observed; always on the safe side of it."""
    if not ruled_out(outside):
        return outside
    for _ in range(_HALVINGS):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if ruled_out(middle) else (outside, middle)
    return outside
