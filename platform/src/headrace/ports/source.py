"""Where a dataset's raw examples come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from headrace.specs.dataset import IdxSource, SourceStamp

Images = NDArray[np.uint8]
"""`uint8[n, *example_shape]`."""
Labels = NDArray[np.uint8]
"""`uint8[n]`."""


class Batch(NamedTuple):
    """Some consecutive examples: images `uint8[n, *example_shape]` and their labels `uint8[n]`."""

    images: Images
    labels: Labels

    def rows(self, chosen: slice | NDArray[np.bool_]) -> Batch:
        """Some of its examples, in order."""
        return Batch(self.images[chosen], self.labels[chosen])


class RawPart(Protocol):
    """One part of the raw data, read by streaming: memory is bounded by a batch.

    Both readers raise SourceError when the data are not what was declared (format, counts, SHA-256), at the end at the latest:
    what was read may only be trusted when the iterator is exhausted.
    """

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Of one image."""
        ...

    def labels(self) -> Iterator[Labels]:
        """All labels in order, without reading the images."""
        ...

    def examples(self) -> Iterator[Batch]:
        """All examples in order."""
        ...


class RawData(NamedTuple):
    """The raw data, on this machine and ready to be read as often as needed. Both parts have the same example shape."""

    train: RawPart
    test: RawPart
    stamps: tuple[SourceStamp, ...]


class Source(Protocol):
    """Finds raw files. `base` is the folder that a relative `path` in the spec is relative to."""

    def stamps(self, spec: IdxSource, base: Path, known: Sequence[SourceStamp]) -> Sequence[SourceStamp | None]:
        """What the source's files are now, in the order of `spec.files`; None for one that is not on this machine.

        Touches no network. A file whose stamp is among `known` is not read; any other is hashed.
        """
        ...

    def files(self, spec: IdxSource, base: Path) -> AbstractContextManager[Mapping[str, Path]]:
        """Bring all files to this machine as they are, held against their declared digests: by name.

        What was only brought for this is let go of when the context ends.

        Raises:
            SourceError: a file is found nowhere, or is not what the spec declares.
        """
        ...

    def open(self, spec: IdxSource, base: Path) -> AbstractContextManager[RawData]:
        """Bring all files to this machine, and let go of what was only brought for this when the context ends.

        Raises:
            SourceError: a file is found nowhere, or two that belong together do not fit.
        """
        ...
