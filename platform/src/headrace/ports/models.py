"""Running a trained network in this process, as a node of a graph would."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headrace.ports.source import Images

Probabilities = NDArray[np.float32]
"""`float32[n, classes]`."""


class OpenModel(Protocol):
    """A network, loaded."""

    def predict(self, images: Images) -> Probabilities:
        """What the network answers for `uint8[n, *example_shape]`, n at least 1; as it comes, be it finite or not.

        Raises:
            CorruptError: it does not take such images, or does not answer with a row of numbers for each.
        """
        ...


class ModelRunner(Protocol):
    """Loads networks. They run on one thread of the CPU, so that what is timed is what a node would take."""

    def open(self, network: Path) -> OpenModel:
        """Load a network from its file.

        Raises:
            CorruptError: the file holds none.
        """
        ...
