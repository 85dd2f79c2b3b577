"""The data a job trains on: the splits of its dataset version."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.adapters.dataset_reader import open_split, read_manifest
from headrace.errors import CorruptError
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import DatasetManifest, DatasetVersion, Split
from headrace.training.examples import Examples


@dataclass(frozen=True)
class Data:
    """A dataset version, opened. Decisions are made on validation; test is only ever reported."""

    manifest: DatasetManifest
    train: Examples
    validation: Examples
    test: Examples

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image."""
        return self.manifest.example_shape

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names; a label is an index into them."""
        return self.manifest.classes


def open_data(store: ObjectStore, version: DatasetVersion) -> Data:
    """Map the shards of every split.

    Raises:
        NotFoundError: the version, or one of its shards, is not in the store.
        CorruptError: what is stored is not the version that the job was given.
    """
    manifest = read_manifest(store, version)
    if manifest.digest != version.digest:
        raise CorruptError(
            f"the stored version has digest {manifest.digest[:12]}…, the job was given {version.digest[:12]}…",
            where=version.location,
            remedy="Ingest the dataset again.",
        )
    return Data(manifest, *(Examples(open_split(store, version, split)) for split in (Split.TRAIN, Split.VALIDATION, Split.TEST)))
