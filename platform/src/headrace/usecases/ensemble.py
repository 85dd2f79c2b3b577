"""Choosing an ensemble: which candidates serve together, and with which weight, by what they answered to the validation split.

Greedy forward selection (R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes: Ensemble Selection from Libraries of Models, ICML
2004): begin with the best candidate, add whichever makes the mean of all chosen best, and take the best prefix of that path.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.errors import CorruptError, InvalidSpecError

Array = NDArray[Any]

PICKS_PER_SLOT = 4
"""How often, on average, a slot's candidate may be picked when picks become weights: weights are as fine as that."""
_LEAST_PROBABILITY = 1e-12
"""What a probability of 0 counts as in the log-loss, which is infinite there."""


@dataclass(frozen=True, order=True)
class Score:
    """What an ensemble is worth on validation; the greater, the better.

    Attributes:
        accuracy: the share of rows whose most probable class is the label.
        log_likelihood: the mean over rows of the natural logarithm of the label's probability: the log-loss's negative.
    """

    accuracy: float
    log_likelihood: float


@dataclass(frozen=True)
class Pick:
    """One step of the path.

    Attributes:
        version: the candidate that was added.
        score: of all that were picked so far, together.
    """

    version: int
    score: Score


@dataclass(frozen=True)
class Selection:
    """The ensemble that was chosen.

    Attributes:
        weights: by version, the first picked first; whole numbers, all 1 unless weights were asked for.
        path: every pick that was tried, also those after the ensemble's best.
        score: the ensemble's.
    """

    weights: Mapping[int, float]
    path: tuple[Pick, ...]
    score: Score


def select(predictions: Mapping[int, Array], labels: Array, *, size: int, minimum: int = 1, weighted: bool = False) -> Selection:
    """Choose the ensemble that is most accurate on validation; ties by log-loss, then the smaller one, then the older version.

    Without weights a candidate is picked once at most: a path with repeated picks would score another mean than the one that
    serves. With them it may be picked again, and its weight is how often. With `minimum` 1 no candidate alone scores better.

    Args:
        predictions: by version, probabilities float32[n, classes] for the rows of the validation split.
        labels: the rows' classes, int64[n].
        size: the most candidates that may be chosen.
        minimum: the fewest, if `size` is not fewer; they are taken even where fewer would score better.
        weighted: whether to choose weights as well.

    Raises:
        InvalidSpecError: there are fewer candidates than `minimum`.
        CorruptError: predictions are not finite, or not of the same rows and classes.
    """
    minimum = min(minimum, size)
    if len(predictions) < minimum:
        raise InvalidSpecError(
            f"{len(predictions)} candidate(s) cannot make an ensemble of at least {minimum}",
            remedy="Train more members, see why their gates refused the others, or lower `ensemble.minimum`.",
        )
    _check(predictions, labels)
    picks = size * PICKS_PER_SLOT if weighted else min(size, len(predictions))
    again_from = minimum if weighted else picks + 1
    path = tuple(_path(dict(sorted(predictions.items())), labels, size=size, picks=picks, again_from=again_from))
    lengths = [length for length in range(1, len(path) + 1) if len(_count(path[:length])) >= minimum]
    best = max(lengths, key=lambda length: (path[length - 1].score, -length))
    weights = {version: float(count) for version, count in _count(path[:best]).items()}
    return Selection(weights=weights, path=path, score=path[best - 1].score)


def score(predictions: Mapping[int, Array], labels: Array, weights: Mapping[int, float]) -> Score:
    """What the weighted mean of some versions' predictions is worth."""
    versions = sorted(weights)
    mean = np.average(
        np.stack([predictions[version] for version in versions]).astype(np.float64),
        axis=0,
        weights=[weights[version] for version in versions],
    )
    of_labels = mean[np.arange(len(labels)), labels]
    return Score(
        accuracy=float((mean.argmax(axis=1) == labels).mean()),
        log_likelihood=float(np.log(of_labels.clip(min=_LEAST_PROBABILITY)).mean()),
    )


def _path(predictions: Mapping[int, Array], labels: Array, *, size: int, picks: int, again_from: int) -> Iterator[Pick]:
    """The picks, one after the other; `predictions` are in the order that decides ties.

    A version may be picked again once there are `again_from` different ones, so that no path ends with fewer than the minimum.
    """
    chosen: Counter[int] = Counter()
    for _ in range(picks):
        different = len(chosen)
        open_to = [version for version in predictions if (different >= again_from if version in chosen else different < size)]
        scores = {version: score(predictions, labels, chosen + Counter([version])) for version in open_to}
        best = max(open_to, key=scores.__getitem__)
        chosen[best] += 1
        yield Pick(best, scores[best])


def _count(path: Sequence[Pick]) -> Mapping[int, int]:
    """How often each version was picked, the first picked first."""
    return Counter(pick.version for pick in path)


def _check(predictions: Mapping[int, Array], labels: Array) -> None:
    shapes = {version: array.shape for version, array in predictions.items()}
    if len(set(shapes.values())) != 1 or any(len(array) != len(labels) or not len(array) for array in predictions.values()):
        raise CorruptError(f"predictions of shapes {shapes} and {len(labels)} labels are not of the same rows and classes")
    for version, array in predictions.items():
        if not np.isfinite(array).all():
            raise CorruptError(f"version {version} predicts what is no finite number")
