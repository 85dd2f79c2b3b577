"""The catalogue: which dataset versions exist and which materialisation made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from headrace.specs.dataset import DatasetVersion, Materialisation


class Catalogue(Protocol):
    """Dataset versions and materialisations. Rows are only ever added; a version never changes once committed."""

    def commit(self, materialisation: Materialisation) -> None:
        """Record a version and the materialisation that made it, in one transaction.

        Committing the same version again changes nothing.

        Raises:
            CorruptError: the version exists with another digest or location.
        """
        ...

    def latest(self, dataset: str) -> Materialisation | None:
        """The materialisation committed last for the dataset, whatever its key; None when there is none."""
        ...

    def versions(self, dataset: str) -> Sequence[DatasetVersion]:
        """All committed versions, oldest first."""
        ...

    def version(self, dataset: str, version: str) -> DatasetVersion:
        """One committed version.

        Raises:
            NotFoundError: it was never committed.
        """
        ...
