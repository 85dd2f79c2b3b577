"""Counting right answers: overall, on each slice, and against the champion's on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headrace.specs.gate import ChampionEvidence, GateSpec, SliceEvidence
from headrace.usecases.gate.predictions import Predictions
from headrace.usecases.gate.statistics import losses, paired_bootstrap


@dataclass(frozen=True)
class Champion:
    """The version that the candidate is held against, and what it answers on the same examples."""

    version: int
    predictions: Predictions


def slices(candidate: Predictions, champion: Champion | None, classes: Sequence[str]) -> tuple[SliceEvidence, ...]:
    """Right answers on each class; one that the split has no example of is left out."""
    right = candidate.right
    champion_right = champion.predictions.right if champion else None
    found = []
    for label, name in enumerate(classes):
        mine = candidate.labels == label
        if mine.any():
            theirs = int(champion_right[mine].sum()) if champion_right is not None else None
            found.append(SliceEvidence(name=name, rows=int(mine.sum()), right=int(right[mine].sum()), champion_right=theirs))
    return tuple(found)


def confusion(predictions: Predictions, classes: int) -> tuple[tuple[int, ...], ...]:
    """Examples by truth and answer; those without a finite answer are not counted."""
    counts = np.zeros((classes, classes), np.int64)
    answered = predictions.answers >= 0
    np.add.at(counts, (predictions.labels[answered], predictions.answers[answered]), 1)
    return tuple(tuple(int(count) for count in row) for row in counts)


def champion_evidence(candidate: Predictions, champion: Champion, gate: GateSpec) -> ChampionEvidence:
    """The champion against the candidate, example by example."""
    right, theirs = candidate.right, champion.predictions.right
    cost = losses(champion.predictions.probabilities, candidate.labels)
    increases = losses(candidate.probabilities, candidate.labels) - cost
    return ChampionEvidence(
        version=champion.version,
        right=int(theirs.sum()),
        only_candidate=int((right & ~theirs).sum()),
        only_champion=int((theirs & ~right).sum()),
        loss_increase=float(increases.mean()),
        least_loss_increase=paired_bootstrap(increases, significance=gate.significance),
    )
