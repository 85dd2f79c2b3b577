"""Epoch checkpoints: all that a job needs to go on as if it had never stopped, in one object, put in one atomic step."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headrace.errors import CorruptError
from headrace.ports.store import ObjectStore

KEEP = 2
"""How many checkpoints stay: the newest, and the one before in case the newest is lost."""
_NAME = re.compile(r"epoch-(\d{4})\.npz$")
Metrics = Mapping[str, float]


class Variable(Protocol):
    """What a checkpoint needs of a Keras variable."""

    path: str

    def numpy(self) -> NDArray[Any]:
        """The current value."""
        ...

    def assign(self, value: NDArray[Any]) -> Any:
        """Replace the value."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """The state after an epoch.

    Attributes:
        epoch: epochs finished, from 1.
        fingerprint: of the job, so that the state of another is never taken for its own.
        history: each finished epoch's metrics, in order.
        arrays: the variables' values, in the order of `capture`.
    """

    epoch: int
    fingerprint: str
    history: tuple[Metrics, ...]
    arrays: tuple[NDArray[Any], ...]


def capture(variables: Sequence[Variable]) -> tuple[NDArray[Any], ...]:
    """Copy the values of variables."""
    return tuple(np.array(variable.numpy()) for variable in variables)


def restore(arrays: Sequence[NDArray[Any]], variables: Sequence[Variable]) -> None:
    """Give variables the values that `capture` took, bit by bit.

    Raises:
        CorruptError: there are more or fewer of them, or one has another shape or type.
    """
    if len(arrays) != len(variables):
        raise CorruptError(f"the checkpoint holds {len(arrays)} variables, the model has {len(variables)}", remedy=_REMEDY)
    for array, variable in zip(arrays, variables, strict=True):
        now = variable.numpy()
        if (array.shape, array.dtype) != (now.shape, now.dtype):
            raise CorruptError(
                f"the checkpoint has {array.dtype}{list(array.shape)}, the model {now.dtype}{list(now.shape)}",
                where=variable.path,
                remedy=_REMEDY,
            )
        variable.assign(array)


class Checkpoints:
    """The checkpoints of one job, below `<prefix>checkpoints/`."""

    def __init__(self, store: ObjectStore, prefix: str, *, fingerprint: str) -> None:
        self._store = store
        self._prefix = f"{prefix}checkpoints/"
        self._fingerprint = fingerprint

    def latest(self) -> Checkpoint | None:
        """The newest, None when there is none.

        Raises:
            CorruptError: it cannot be read, or is another job's.
        """
        keys = self._keys()
        if not keys:
            return None
        checkpoint = _decode(self._store.get_bytes(keys[-1]), where=keys[-1])
        if checkpoint.fingerprint != self._fingerprint:
            raise CorruptError("the checkpoint was made with other parameters", where=keys[-1], remedy=_REMEDY)
        return checkpoint

    def save(self, *, epoch: int, history: Sequence[Metrics], arrays: Sequence[NDArray[Any]]) -> None:
        """Put the state after an epoch, then remove all but the newest."""
        checkpoint = Checkpoint(epoch, self._fingerprint, tuple(history), tuple(arrays))
        self._store.put_bytes(f"{self._prefix}epoch-{epoch:04}.npz", _encode(checkpoint))
        for key in self._keys()[:-KEEP]:
            self._store.delete(key)

    def _keys(self) -> list[str]:
        """Oldest first: the listing is ordered by key, and the number in it has a fixed width."""
        return [found.key for found in self._store.list(self._prefix) if _NAME.search(found.key)]


_REMEDY = "Trigger a new run: what a run trains must not change between its tries."


def _encode(checkpoint: Checkpoint) -> bytes:
    head = {"epoch": checkpoint.epoch, "fingerprint": checkpoint.fingerprint, "history": [dict(m) for m in checkpoint.history]}
    named = {f"variable-{index:04}": array for index, array in enumerate(checkpoint.arrays)}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, head=np.array(json.dumps(head)), **named)
    return buffer.getvalue()


def _decode(data: bytes, *, where: str) -> Checkpoint:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            head = json.loads(str(arrays["head"]))
            values = tuple(arrays[name] for name in sorted(arrays.files) if name.startswith("variable-"))
        return Checkpoint(head["epoch"], head["fingerprint"], tuple(head["history"]), values)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise CorruptError(f"the checkpoint cannot be read: {error}", where=where, remedy="Delete it and train again.") from error
