"""The examples of a split: memory-mapped shards seen as one long array, gathered row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]
Rows = NDArray[np.int64]


class Examples:
    """Rows of a split, addressed from 0.

    Nothing is copied until rows are taken: the shards stay mapped files, so workers and members on one machine share one
    copy of them in the page cache.
    """

    def __init__(self, shards: Sequence[tuple[Images, Labels]]) -> None:
        self._shards = tuple(shards)
        self._starts = np.cumsum([0, *(len(labels) for _, labels in self._shards)])

    def __len__(self) -> int:
        """The number of rows."""
        return int(self._starts[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image."""
        return tuple(self._shards[0][0].shape[1:])

    def take(self, rows: Rows) -> tuple[Images, Labels]:
        """Gather rows, in the order asked for.

        Args:
            rows: any shape `[...]`, each within 0 … len - 1.

        Returns:
            Images `uint8[..., *shape]` and labels `uint8[...]`.
        """
        images = np.empty((*rows.shape, *self.shape), np.uint8)
        labels = np.empty(rows.shape, np.uint8)
        shard_of = np.searchsorted(self._starts, rows, side="right") - 1
        for index, (shard_images, shard_labels) in enumerate(self._shards):
            here = shard_of == index
            local = rows[here] - self._starts[index]
            images[here] = shard_images[local]
            labels[here] = shard_labels[local]
        return images, labels
