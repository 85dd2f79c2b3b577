"""Materialising a dataset: a version that may be used, made now unless there is one, whoever dies on the way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from headrace.errors import NotFoundError, StepFailedError
from headrace.ports.catalogue import Catalogue
from headrace.ports.clock import Clock
from headrace.ports.locks import Locks
from headrace.ports.log import LogLine
from headrace.ports.source import Source
from headrace.ports.steps import StepRunner
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import DatasetVersion, Freshness
from headrace.specs.step import IngestStep, Materialised
from headrace.usecases.freshness import check_freshness
from headrace.usecases.materialisation import materialisation_of
from headrace.usecases.recovery import recover
from headrace.usecases.verification import load_manifest


@dataclass(frozen=True, kw_only=True)
class Materialiser:
    """Decides whether a dataset must be ingested, has it done, and makes the version known.

    Two things keep ingestions of a dataset apart, because two things can die:

    - The *lock* keeps those who decide apart: one at a time looks, has the step run, and commits. It is the database's, so the
      death of its holder frees it.
    - The *identity* of the ingest step keeps those who write apart. The step may outlive the lock: a pod goes on when the task
      that started it is killed. So whoever takes the lock first waits for a step of this dataset that still runs, whichever
      run it was started for (`StepRunner.await_earlier`), and only then calls what is stored without a manifest garbage. What
      that step made is committed, and used like any version made while one waited.

    A killed task's retry therefore never starts a second step beside the first, and another run never removes a version that
    is being written. A marker with a heartbeat in the store would do the same by guessing how long a silence means death;
    the API server knows which pods run, and gives a name to one of them only.
    """

    source: Source
    store: ObjectStore
    catalogue: Catalogue
    locks: Locks
    steps: StepRunner
    clock: Clock

    def materialise(self, step: IngestStep, *, log: LogLine, newer_than: datetime | None = None) -> Materialised:
        """Return a version that may be used, made now unless there is one.

        One ingestion of a dataset runs at a time, on all machines that share the catalogue; whoever waited for another uses its
        version. A version becomes visible last, with its manifest and then its catalogue entry; what a crash leaves before
        that is removed, or completed, by the next call.

        Args:
            step: makes the version.
            log: told what the step prints.
            newer_than: when the dataset was asked for anew: what was made before will not do, however fresh. The retries of a
                forced run give the same moment, so that they use what an earlier try made.

        Raises:
            StepFailedError: the step failed, or left no result; nothing was committed.
        """
        with self.locks.hold(step.identity):
            self.steps.await_earlier(step, log=log)
            recover(step.pipeline.dataset.name, store=self.store, catalogue=self.catalogue)
            found = self._look(step, newer_than)
            if found.version is not None:
                return Materialised(version=found.version, cached=True, reason=found.reason)
            self.steps.run(step, log=log)
            return Materialised(version=self._commit(step), cached=False, reason=found.reason)

    def _look(self, step: IngestStep, newer_than: datetime | None) -> Freshness:
        dataset = step.pipeline.dataset
        latest = self.catalogue.latest(dataset.name)
        new_enough = newer_than is None or (latest is not None and latest.version.created >= newer_than)
        return check_freshness(
            dataset,
            step.pipeline.folder,
            source=self.source,
            store=self.store,
            catalogue=self.catalogue,
            clock=self.clock,
            force=not new_enough,
        )

    def _commit(self, step: IngestStep) -> DatasetVersion:
        try:
            version = DatasetVersion.model_validate_json(self.store.get_bytes(step.result_key))
        except NotFoundError as error:
            raise StepFailedError(
                f"step {step.name} ended well, but left no result",
                where=step.result_key,
                remedy="Do steps and platform use the same store?",
            ) from error
        self.catalogue.commit(materialisation_of(load_manifest(version, self.store)))
        return version
