"""Which rows a worker sees: a fresh global order each epoch, and of every global batch an equal share for each rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.training.examples import Rows


@dataclass(frozen=True)
class Share:
    """One rank's part of an epoch.

    Attributes:
        rows: int64[steps, share].
        weights: float32[steps, share]: one over the number of examples in the global batch; 0 where a row only fills up the
            last batch. Summed over all ranks each step's weights are 1, so weighted losses add up to the global mean.
    """

    rows: Rows
    weights: NDArray[np.float32]

    @property
    def steps(self) -> int:
        """Global batches in the epoch."""
        return len(self.rows)


def share_size(batch_size: int, workers: int) -> int:
    """Examples a worker takes of each global batch; the batch is rounded up to a multiple of the workers."""
    return -(-batch_size // workers)


def epoch_share(*, rows: int, batch_size: int, seed: int, epoch: int, rank: int, workers: int) -> Share:
    """The rank's share of an epoch. Over all ranks every row comes exactly once with a weight above 0.

    The order depends on seed and epoch alone, so a resumed job sees the rows that an uninterrupted one would have, and the
    global batches are the same for any number of workers that divides the batch.
    """
    share = share_size(batch_size, workers)
    batch = share * workers
    order = np.random.default_rng((seed, epoch)).permutation(rows)
    steps = -(-rows // batch)
    # The last batch is filled up with the epoch's first rows: batch statistics see real images, the loss does not count them.
    filled = np.resize(order, steps * batch).reshape(steps, batch)
    counted = (np.arange(steps * batch) < rows).reshape(steps, batch)
    weights = (counted / counted.sum(axis=1, keepdims=True)).astype(np.float32)
    mine = slice(rank * share, (rank + 1) * share)
    return Share(filled[:, mine], weights[:, mine])
