"""The gate's statistics: pure functions of counts and arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.ports.models import Probabilities
from headrace.specs.gate import CalibrationBin

Floats = NDArray[np.floating[Any]]
Answers = NDArray[np.int64]
"""`int64[n]`: a class each."""
NO_ANSWER = -1
"""The class of an answer that is not finite: never the right one."""
RESAMPLES = 2000


def answers_of(probabilities: Probabilities) -> Answers:
    """The most probable class of each row, `NO_ANSWER` where one of its numbers is not finite."""
    finite = np.isfinite(probabilities).all(axis=1)
    return np.where(finite, np.where(finite[:, None], probabilities, 0).argmax(axis=1), NO_ANSWER)


def mcnemar(*, only_champion: int, only_candidate: int, rows: int, margin: float) -> float:
    """The exact one-sided McNemar test: is the candidate worse than the champion by more than the margin?

    Of two classifiers on the same examples only those count that exactly one of them gets right: McNemar, Note on the sampling
    error of the difference between correlated proportions or percentages, Psychometrika 12 (1947). Given d of them, those
    that the champion alone gets right are binomial; when the true difference in accuracy is the margin δ, and a share ψ of all
    examples is of that kind, each is one with probability (1 + δ/ψ) / 2. With ψ estimated by d / rows and δ = 0 that is the
    exact test; a margin is brought in as in Liu et al., Tests for equivalence or non-inferiority for paired binary data,
    Statistics in Medicine 21 (2002).

    Args:
        only_champion: examples that the champion alone gets right.
        only_candidate: examples that the candidate alone gets right.
        rows: all examples, at least one.
        margin: as a share of them.

    Returns:
        How probable so many, or more, right answers of the champion alone are if the candidate is worse by no more than the
        margin; 1 if they could not show it at all.
    """
    discordant = only_champion + only_candidate
    if margin * rows >= discordant:
        return 1.0
    return binomial_tail(only_champion, discordant, (1 + margin * rows / discordant) / 2)


def binomial_tail(successes: int, trials: int, probability: float) -> float:
    """The probability of at least so many successes in so many trials; `probability` of each lies within (0, 1)."""
    counts = np.arange(successes, trials + 1)
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    logs = (
        log_factorials[trials]
        - log_factorials[counts]
        - log_factorials[trials - counts]
        + counts * math.log(probability)
        + (trials - counts) * math.log1p(-probability)
    )
    return min(1.0, float(np.exp(logs).sum()))


def losses(probabilities: Probabilities, labels: Answers) -> Floats:
    """What each example costs: the negative log-likelihood of its class, in nats, `float64[n]`; bounded, be it finite or not."""
    likelihoods = np.nan_to_num(probabilities[np.arange(len(labels)), labels].astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    return -np.log(np.clip(likelihoods, np.finfo(np.float32).tiny, 1.0))


def paired_bootstrap(differences: Floats, *, significance: float, seed: int = 0) -> float:
    """The lower end of a one-sided confidence interval of a mean difference, over examples drawn anew with replacement.

    The percentile interval of Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13, which asks nothing of
    the distribution: a candidate is worse by more than a margin when this lies above it.

    Args:
        differences: the candidate's loss less the champion's, example by example, `float[n]`, n at least 1.
        significance: how probable it may be that the true mean lies below.
        seed: equal seeds give equal results.
    """
    random = np.random.default_rng(seed)
    means = [differences[random.integers(0, len(differences), len(differences))].mean() for _ in range(RESAMPLES)]
    return float(np.quantile(means, significance))


def calibration_bins(probabilities: Probabilities, labels: Answers, *, bins: int = 15) -> tuple[CalibrationBin, ...]:
    """The answers by their confidence, the largest probability of the row, in equally wide bins ((m - 1)/M, m/M].

    Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 2. An answer that is not finite has no confidence.
    """
    answers = answers_of(probabilities)
    confidences = np.where(answers == NO_ANSWER, 0.0, np.nan_to_num(probabilities).max(axis=1).astype(np.float64))
    right = answers == labels
    places = np.clip(np.ceil(confidences * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    filled = np.maximum(counts, 1)
    return tuple(
        CalibrationBin(rows=int(rows), confidence=float(confidence), accuracy=float(accuracy))
        for rows, confidence, accuracy in zip(
            counts,
            np.bincount(places, confidences, minlength=bins) / filled,
            np.bincount(places, right, minlength=bins) / filled,
            strict=True,
        )
    )


def expected_calibration_error(bins: tuple[CalibrationBin, ...]) -> float:
    """The mean distance between confidence and accuracy, weighted by rows (Guo et al., equation 5); 0 is best, 1 the worst."""
    rows = sum(each.rows for each in bins)
    return sum(each.rows * abs(each.accuracy - each.confidence) for each in bins) / max(rows, 1)
