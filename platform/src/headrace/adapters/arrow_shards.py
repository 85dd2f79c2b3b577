"""Shards as Arrow IPC files: uncompressed, so that a reader maps them into memory and decodes nothing.

`image` is Arrow's canonical fixed-shape tensor of uint8, `label` uint8; the rows stand in record batches of `RECORD_ROWS`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from headrace.ports.source import Batch, Images, Labels

RECORD_ROWS = 2500
"""Rows of a record batch; bounds the memory of writing."""


class ArrowShards:
    """Implements `ports.shards.ShardFormat`."""

    suffix = ".arrow"

    def schema(self, example_shape: tuple[int, ...]) -> dict[str, str]:
        """See the port."""
        return {"image": f"fixed_shape_tensor<uint8>{list(example_shape)}", "label": "uint8"}

    def create(self, path: Path, example_shape: tuple[int, ...]) -> ArrowFile:
        """See the port."""
        return ArrowFile(path, example_shape)


def map_shard(path: Path) -> list[tuple[Images, Labels]]:
    """Map a shard into memory: its record batches as images `uint8[n, *example_shape]` and labels `uint8[n]`, read-only views."""
    reader = pa.ipc.open_file(pa.memory_map(str(path), "r"))
    return [_views(reader.get_batch(index)) for index in range(reader.num_record_batches)]


class ArrowFile:
    """Implements `ports.shards.ShardFile`: gathers rows into record batches, so that bytes do not depend on how rows arrive."""

    def __init__(self, path: Path, example_shape: tuple[int, ...]) -> None:
        self._schema = _arrow_schema(example_shape)
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, self._schema)
        self._images: Images = np.empty((RECORD_ROWS, *example_shape), np.uint8)
        self._labels: Labels = np.empty(RECORD_ROWS, np.uint8)
        self._filled = 0

    def append(self, batch: Batch) -> None:
        """See the port."""
        start = 0
        while start < len(batch.labels):
            count = min(RECORD_ROWS - self._filled, len(batch.labels) - start)
            to, taken = slice(self._filled, self._filled + count), slice(start, start + count)
            self._images[to], self._labels[to] = batch.images[taken], batch.labels[taken]
            self._filled += count
            start += count
            if self._filled == RECORD_ROWS:
                self._flush()

    def close(self) -> None:
        """See the port."""
        self._flush()
        self._writer.close()
        self._sink.close()

    def _flush(self) -> None:
        if self._filled:
            images: pa.FixedShapeTensorArray[Any] = pa.FixedShapeTensorArray.from_numpy_ndarray(self._images[: self._filled])
            labels = pa.array(self._labels[: self._filled])
            self._writer.write_batch(pa.record_batch([images, labels], schema=self._schema))
            self._filled = 0


def _views(batch: pa.RecordBatch) -> tuple[Images, Labels]:
    images = cast("pa.FixedShapeTensorArray[Any]", batch.column("image"))
    return images.to_numpy_ndarray(), batch.column("label").to_numpy(zero_copy_only=True)


def _arrow_schema(example_shape: tuple[int, ...]) -> pa.Schema:
    return pa.schema(
        [
            pa.field("image", pa.fixed_shape_tensor(pa.uint8(), example_shape), nullable=False),
            pa.field("label", pa.uint8(), nullable=False),
        ]
    )
