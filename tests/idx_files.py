"""Small raw datasets in the IDX format, and the spec that declares them."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.specs.dataset import DatasetSpec

CLASSES = ("shoe", "bag", "coat", "dress")
SHAPE = (4, 3)
NAMES = {
    ("train", "images"): "train-images-idx3-ubyte.gz",
    ("train", "labels"): "train-labels-idx1-ubyte.gz",
    ("test", "images"): "t10k-images-idx3-ubyte.gz",
    ("test", "labels"): "t10k-labels-idx1-ubyte.gz",
}


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    """An array as the content of an IDX file."""
    return b"\0\0\x08" + bytes([values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()


def labels_of(rows: int) -> NDArray[np.uint8]:
    """Labels of unequal classes: 1/2, 1/4, 1/8 and the rest, in a fixed shuffled order."""
    labels = np.minimum(np.arange(1, rows + 1)[:, None] % np.array([2, 4, 8]) == 0, 1).sum(axis=1).astype(np.uint8)
    return np.random.default_rng(1).permutation(labels)


def images_of(rows: int, offset: int = 0) -> NDArray[np.uint8]:
    """Images that tell their row: the first two bytes are its number."""
    images = np.random.default_rng(2).integers(0, 256, (rows, *SHAPE), dtype=np.uint8)
    images.reshape(rows, -1)[:, :2] = np.arange(offset, offset + rows, dtype=">u2").view(np.uint8).reshape(rows, 2)
    return images


def raw_content(train: int = 120, test: int = 30) -> dict[tuple[str, str], bytes]:
    """The decompressed content of the four files."""
    parts = {"train": (images_of(train), labels_of(train)), "test": (images_of(test, train), labels_of(test))}
    return {
        (part, kind): idx_bytes(values)
        for part, pair in parts.items()
        for kind, values in zip(("images", "labels"), pair, strict=True)
    }


def write_raw(folder: Path, content: dict[tuple[str, str], bytes]) -> None:
    """Write the four files, compressed."""
    folder.mkdir(parents=True, exist_ok=True)
    for which, data in content.items():
        (folder / NAMES[which]).write_bytes(gzip.compress(data, 1, mtime=0))


def dataset_spec(content: dict[tuple[str, str], bytes], **changes: Any) -> DatasetSpec:
    """The spec that declares such files, to be found in the folder `raw`; `changes` replace keys, those in `source` singly."""
    source: dict[str, Any] = {"path": "raw", "train": {}, "test": {}}
    for (part, kind), data in content.items():
        source[part][kind] = {"name": NAMES[part, kind], "sha256": hashlib.sha256(data).hexdigest()}
    source |= changes.pop("source", {})
    fields = {"name": "shoes", "validation_rows": 20, "rows_per_shard": 40, "classes": CLASSES, "source": source}
    return DatasetSpec.model_validate(fields | changes)
