"""Splitting: which examples are held out, class by class in proportion, decided while they stream past."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from headrace.errors import InvalidSpecError, SourceError
from headrace.ports.source import Labels

_LABELS = 256  # a label is one byte


def class_counts(labels: Iterable[Labels], classes: int) -> list[int]:
    """Rows of each class.

    Raises:
        SourceError: a label is not the index of a class.
    """
    counts = np.zeros(_LABELS, np.int64)
    for batch in labels:
        counts += np.bincount(batch, minlength=_LABELS)
    if counts[classes:].any():
        raise SourceError(
            f"the labels go up to {counts.nonzero()[0].max()}, but the spec names {classes} classes",
            where="dataset.classes",
            remedy="Name every class in the pipeline's YAML, in the order of the labels.",
        )
    return [int(count) for count in counts[:classes]]


def quotas(counts: Sequence[int], held_out: int) -> list[int]:
    """How many rows of each class to hold out, so that they sum to `held_out` exactly (method of the largest remainder).

    Raises:
        InvalidSpecError: nothing would be left.
    """
    total = sum(counts)
    if held_out >= total:
        raise InvalidSpecError(
            f"{held_out} validation rows cannot be held out of {total} training rows",
            where="dataset.validation_rows",
            remedy="Choose fewer.",
        )
    shares = [held_out * count // total for count in counts]
    by_remainder = sorted(range(len(counts)), key=lambda index: -(held_out * counts[index] % total))
    for index in by_remainder[: held_out - sum(shares)]:
        shares[index] += 1
    return shares


class HoldOut:
    """Chooses a fixed number of rows of each class, every such choice being equally likely.

    Selection sampling (Knuth, The Art of Computer Programming, vol. 2, 3.4.2, algorithm S): needs no memory of the rows, and the
    choice depends on the seed and the rows' order only, not on how they are cut into batches.

    Args:
        counts: rows of each class that will come.
        held_out: rows to choose, over all classes.
        seed: of the choice.
    """

    def __init__(self, counts: Sequence[int], held_out: int, seed: int) -> None:
        self._needed = quotas(counts, held_out)
        self._left = list(counts)
        self._random = np.random.Generator(np.random.PCG64(seed))

    def choose(self, labels: Labels) -> NDArray[np.bool_]:
        """Which of the next rows are held out, `bool[n]` for labels `uint8[n]`."""
        chosen = np.zeros(len(labels), np.bool_)
        for row, (label, chance) in enumerate(zip(labels.tolist(), self._random.random(len(labels)).tolist(), strict=True)):
            if chance * self._left[label] < self._needed[label]:
                chosen[row] = True
                self._needed[label] -= 1
            self._left[label] -= 1
        return chosen
