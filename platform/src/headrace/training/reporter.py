"""What a worker says while it works. The chief tells the world; the others keep quiet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

History = Sequence[Mapping[str, float]]
"""Each finished epoch's metrics, in order."""
Arrays = Sequence[NDArray[Any]]


class Reporter(Protocol):
    """Told of everything that others may want to know. Values that cost time to get are passed as functions."""

    def started(self, *, parameters: int, batch_size: int, resumed_from: int, history: History) -> None:
        """The network is built (with so many trained numbers), peers are there, a checkpoint is restored if there was one."""
        ...

    def stepped(self, *, step: int, steps: int, images_per_second: float, history: History) -> None:
        """Some steps of the current epoch are done."""
        ...

    def epoch_ended(self, *, history: History, state: Callable[[], Arrays]) -> None:
        """An epoch is done; `state` copies all variables for a checkpoint."""
        ...

    def trained(self, *, history: History, weights: Arrays) -> None:
        """Training is over; `weights` are the network's, in Keras' order."""
        ...


class Bystander:
    """A worker that is not the chief: says nothing."""

    def started(self, *, parameters: int, batch_size: int, resumed_from: int, history: History) -> None:
        """See the protocol."""

    def stepped(self, *, step: int, steps: int, images_per_second: float, history: History) -> None:
        """See the protocol."""

    def epoch_ended(self, *, history: History, state: Callable[[], Arrays]) -> None:
        """See the protocol."""

    def trained(self, *, history: History, weights: Arrays) -> None:
        """See the protocol."""
