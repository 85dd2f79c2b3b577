"""A small dataset and everything ingesting it takes: real files and shards, fakes for the rest."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from builders import pipeline
from fakes import FakeCatalogue, FakeLocks, FakeSteps, FakeStore, FixedClock
from headrace.adapters.arrow_shards import ArrowShards
from headrace.adapters.dataset_reader import open_split
from headrace.adapters.idx.mirror import SourceMirror
from headrace.adapters.idx.source import IdxFiles
from headrace.specs.dataset import DatasetSpec, DatasetVersion, Freshness, Split
from headrace.specs.step import IngestStep, Materialised
from headrace.usecases.freshness import check_freshness
from headrace.usecases.ingest import Ingestor, Progress, unobserved
from headrace.usecases.materialise import Materialiser
from idx_files import dataset_spec, raw_content, write_raw


class IngestWorld:
    """The dataset `shoes`: 120 training rows in four unequal classes, 30 test rows, raw files in `<folder>/raw`.

    `parts` replace the fakes: `store`, `catalogue`, `locks`, `clock`, `steps`.
    """

    def __init__(self, folder: Path, **parts: Any) -> None:
        self.folder = folder
        self.store = parts.get("store") or FakeStore()
        self.catalogue = parts.get("catalogue") or FakeCatalogue()
        self.locks = parts.get("locks") or FakeLocks()
        self.clock = parts.get("clock") or FixedClock()
        self.steps = parts.get("steps") or FakeSteps(self.store, self.make)
        self.log: list[str] = []
        self.progress: Progress = unobserved
        """Told of the rows that an ingest step writes."""
        self.content = raw_content()
        write_raw(folder / "raw", self.content)

    def spec(self, **changes: Any) -> DatasetSpec:
        """The dataset's spec."""
        return dataset_spec(self.content, **changes)

    def step(self, spec: DatasetSpec | None = None, *, run: str = "r1") -> IngestStep:
        """The step that ingests it."""
        return IngestStep(pipeline=pipeline(dataset=spec or self.spec(), folder=self.folder), run=run)

    def make(self, step: IngestStep) -> DatasetVersion:
        """What the step's command does."""
        source = IdxFiles(SourceMirror(self.store, step.pipeline.dataset.name))
        ingestor = Ingestor(source=source, shards=ArrowShards(), store=self.store, clock=self.clock)
        return ingestor.ingest(step.pipeline.dataset, step.pipeline.folder, progress=self.progress)

    def ingest(self, spec: DatasetSpec | None = None, *, run: str = "r1", force: bool = False) -> Materialised:
        """Have a fresh version, made by the step if there is none; a forced one is asked for a moment after all that was done."""
        if force:
            self.clock.pass_time(microseconds=1)
        return self.materialise(spec, run=run, newer_than=self.clock() if force else None)

    def materialise(
        self, spec: DatasetSpec | None = None, *, run: str = "r1", newer_than: datetime | None = None
    ) -> Materialised:
        """The same, for a run that was asked for at a given moment."""
        materialiser = Materialiser(
            source=IdxFiles(),
            store=self.store,
            catalogue=self.catalogue,
            locks=self.locks,
            steps=self.steps,
            clock=self.clock,
        )
        return materialiser.materialise(self.step(spec, run=run), log=self.log.append, newer_than=newer_than)

    def check(self, spec: DatasetSpec | None = None, **options: Any) -> Freshness:
        """Ask whether it is fresh."""
        return check_freshness(
            spec or self.spec(),
            self.folder,
            source=IdxFiles(),
            store=self.store,
            catalogue=self.catalogue,
            clock=self.clock,
            **options,
        )

    def change_source(self, which: tuple[str, str] = ("train", "images")) -> None:
        """Change the last byte of a raw file, and so the digest the spec declares."""
        content = self.content[which]
        self.content[which] = content[:-1] + bytes([content[-1] ^ 1])
        write_raw(self.folder / "raw", self.content)

    def split(self, version: DatasetVersion, split: Split) -> tuple[Any, Any]:
        """A whole split: images and labels."""
        pieces = open_split(self.store, version, split)
        return np.concatenate([images for images, _ in pieces]), np.concatenate([labels for _, labels in pieces])

    def stored(self, prefix: str = "datasets/") -> list[str]:
        """Keys in the store."""
        return [found.key for found in self.store.list(prefix)]
