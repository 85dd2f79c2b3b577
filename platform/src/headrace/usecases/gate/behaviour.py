"""Inputs that show how a network behaves: changed ones, typical ones, hostile ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from headrace.ports.source import Batch, Images
from headrace.specs.gate import InvarianceSpec

Change = Callable[[Images], Images]
"""From `uint8[n, height, width, …]` to the same."""
_DIRECTIONS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
_LIGHTEST = np.iinfo(np.uint8).max


def changes(spec: InvarianceSpec) -> Mapping[str, Change]:
    """The changes that must not change an answer, by what they are called."""
    found: dict[str, Change] = {}
    if spec.shift_pixels:
        for name, (down, right) in _DIRECTIONS.items():
            step = spec.shift_pixels
            found[f"shifted {name} by {step}"] = partial(shifted, down=down * step, right=right * step)
    if spec.brightness:
        for factor in (1 - spec.brightness, 1 + spec.brightness):
            found[f"brightness × {factor:.4g}"] = partial(brightened, factor=factor)
    return found


def shifted(images: Images, *, down: int, right: int) -> Images:
    """Move each image's content by some pixels; what comes in at the edge repeats the edge."""
    rows = np.clip(np.arange(images.shape[1]) - down, 0, images.shape[1] - 1)
    columns = np.clip(np.arange(images.shape[2]) - right, 0, images.shape[2] - 1)
    return np.ascontiguousarray(images[:, rows][:, :, columns])


def brightened(images: Images, *, factor: float) -> Images:
    """Multiply each pixel, rounded, up to the lightest there is."""
    return np.clip(np.rint(images.astype(np.float32) * factor), 0, _LIGHTEST).astype(np.uint8)


def hostile_inputs(example_shape: tuple[int, ...]) -> Mapping[str, Images]:
    """Inputs that no data set holds, and that must be answered all the same: nothing, everything, noise."""
    noise = np.random.default_rng(0).integers(0, _LIGHTEST + 1, (16, *example_shape), np.uint8)
    return {
        "all 0": np.zeros((1, *example_shape), np.uint8),
        f"all {_LIGHTEST}": np.full((1, *example_shape), _LIGHTEST, np.uint8),
        "noise": noise,
    }


def most_typical(pieces: Sequence[Batch], *, classes: int, per_class: int) -> NDArray[np.int64]:
    """The rows, in order, of the examples nearest to the mean of their class: at most `per_class` of each.

    Args:
        pieces: a split, as consecutive pieces.
        classes: how many there are.
        per_class: at most so many of each.
    """
    labels = np.concatenate([piece.labels for piece in pieces])
    sums = np.zeros((classes, *pieces[0].images.shape[1:]), np.float64)
    for piece in pieces:
        np.add.at(sums, piece.labels, piece.images)
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    means = sums / counts.reshape(-1, *(1 for _ in sums.shape[1:]))
    distances = np.concatenate([_distances(piece, means) for piece in pieces])
    chosen = [_nearest(distances, np.flatnonzero(labels == label), per_class) for label in range(classes)]
    return np.sort(np.concatenate(chosen))


def _distances(piece: Batch, means: NDArray[np.float64]) -> NDArray[np.float64]:
    """The squared distance of each example to the mean of its class, `float64[n]`."""
    return ((piece.images - means[piece.labels]) ** 2).reshape(len(piece.labels), -1).sum(axis=1)


def _nearest(distances: NDArray[np.float64], rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return rows[np.argsort(distances[rows], kind="stable")[:count]]
