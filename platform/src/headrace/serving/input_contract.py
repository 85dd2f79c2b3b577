"""What a network takes, read off the network itself, and the check that a caller's rows are that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.serving.messages import Array, refuse

_WHOLE_NUMBERS = {f"tensor({kind.__name__})": np.dtype(kind) for kind in (np.uint8, np.int8, np.uint16, np.int16, np.int32)}


@dataclass(frozen=True)
class InputContract:
    """Whole numbers that `dtype` holds, in rows of `row_shape`, any number of rows."""

    name: str
    """The input's, in the network."""
    row_shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, session: Any) -> InputContract:
        """The contract of an open `onnxruntime.InferenceSession`.

        Raises:
            RuntimeError: it takes something else: several inputs, fractions, a fixed number of rows, or rows of no fixed shape.
        """
        entries = session.get_inputs()
        batch, *row_shape = entries[0].shape or [None]
        fixed = all(isinstance(side, int) for side in row_shape)
        if len(entries) != 1 or entries[0].type not in _WHOLE_NUMBERS or isinstance(batch, int) or not fixed:
            found = [f"{entry.name}: {entry.type} {entry.shape}" for entry in entries]
            raise RuntimeError(f"the network must take one input of whole numbers, [any, fixed …]; it takes {found}")
        return cls(name=entries[0].name, row_shape=tuple(row_shape), dtype=_WHOLE_NUMBERS[entries[0].type])

    def __str__(self) -> str:
        """In words, for whoever sent something else."""
        limits, shape = np.iinfo(self.dtype), ", ".join(["n", *map(str, self.row_shape)])
        return f"whole numbers from {limits.min} to {limits.max} of shape [{shape}], n at least 1"

    def rows(self, values: Array) -> Array:
        """`values` as the network takes them.

        Raises:
            SeldonMicroserviceException: they are not what the contract says; the message tells what was expected and what came.
        """
        if values.dtype.kind not in "iuf":
            raise refuse(f"expected {self}; got values of type {values.dtype}")
        if values.ndim != len(self.row_shape) + 1 or values.shape[1:] != self.row_shape or not len(values):
            raise refuse(f"expected {self}; got shape {list(values.shape)}")
        limits = np.iinfo(self.dtype)
        lowest, highest = values.min(), values.max()  # NaN, if there is one
        if not (lowest >= limits.min and highest <= limits.max):
            raise refuse(f"expected {self}; got values from {lowest} to {highest}")
        rows = values.astype(self.dtype)
        if not np.array_equal(rows, values):
            raise refuse(f"expected {self}; got fractions")
        return rows
