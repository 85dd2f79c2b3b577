"""Written fakes of the ports. They keep the ports' contracts; the contract suites in tests/contract say so."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from headrace.errors import CorruptError, NotFoundError
from headrace.ports.log import LogLine
from headrace.ports.store import StoredObject, check_expiry, check_key
from headrace.specs.base import Spec
from headrace.specs.dataset import DatasetVersion, Materialisation
from headrace.specs.step import Step


class FixedClock:
    """`ports.clock.Clock` that stands still until told otherwise."""

    def __init__(self, now: datetime = datetime(2026, 11, 21, 11, 0, 52, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_time(self, **span: float) -> None:
        """Move on, e.g. `days=15`."""
        self.now += timedelta(**span)


class FakeStore:
    """`ports.store.ObjectStore` in memory; fetched objects are files in a temporary folder."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, str]] = {}
        self._puts = 0
        self._folder = TemporaryDirectory(prefix="fake-store-")

    def put_bytes(self, key: str, data: bytes) -> StoredObject:
        self._puts += 1
        self._objects[check_key(key)] = (bytes(data), f"etag-{self._puts}")
        return self._stored(key)

    def put_file(self, key: str, path: Path) -> StoredObject:
        return self.put_bytes(key, path.read_bytes())

    def get_bytes(self, key: str) -> bytes:
        return self._object(key)[0]

    def fetch(self, key: str) -> Path:
        content, etag = self._object(key)
        path = Path(self._folder.name, hashlib.sha256(f"{key} {etag}".encode()).hexdigest())
        if not path.exists():
            path.write_bytes(content)
        return path

    def list(self, prefix: str) -> Iterator[StoredObject]:
        if prefix.rpartition("/")[0]:
            check_key(prefix.rpartition("/")[0])
        for key in sorted(self._objects):
            if key.startswith(prefix) and key in self._objects:
                yield self._stored(key)

    def delete(self, key: str) -> None:
        self._objects.pop(check_key(key), None)

    def uri(self, prefix: str) -> str:
        return f"{self._folder.name}/{prefix}"

    def presign(self, key: str, *, expires: timedelta) -> str:
        check_expiry(expires)
        return self.fetch(key).as_uri() if key in self._objects else Path(self._folder.name, check_key(key)).as_uri()

    def _object(self, key: str) -> tuple[bytes, str]:
        try:
            return self._objects[check_key(key)]
        except KeyError as error:
            raise NotFoundError("the object does not exist", where=key) from error

    def _stored(self, key: str) -> StoredObject:
        content, etag = self._objects[key]
        return StoredObject(key, len(content), etag)


class FakeCatalogue:
    """`ports.catalogue.Catalogue` in memory."""

    def __init__(self) -> None:
        self._committed: list[Materialisation] = []

    def commit(self, materialisation: Materialisation) -> None:
        new = materialisation.version
        for known in self.versions(new.dataset):
            if known.version == new.version:
                if (known.digest, known.location) != (new.digest, new.location):
                    raise CorruptError("the version is already committed with other content", where=known.location)
                return
        self._committed.append(materialisation)

    def latest(self, dataset: str) -> Materialisation | None:
        found = [each for each in self._committed if each.version.dataset == dataset]
        return found[-1] if found else None

    def versions(self, dataset: str) -> Sequence[DatasetVersion]:
        return [each.version for each in self._committed if each.version.dataset == dataset]

    def version(self, dataset: str, version: str) -> DatasetVersion:
        for known in self.versions(dataset):
            if known.version == version:
                return known
        raise NotFoundError(f"dataset {dataset} has no version {version}")


class FakeLocks:
    """`ports.locks.Locks` among the threads of this process."""

    def __init__(self) -> None:
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    @contextmanager
    def hold(self, name: str) -> Iterator[bool]:
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        waited = not lock.acquire(blocking=False)
        if waited:
            lock.acquire()
        try:
            yield waited
        finally:
            lock.release()


class TaskDiedError(BaseException):
    """Raised where a task is killed while its step goes on."""


class FakeSteps:
    """`ports.steps.StepRunner` whose commands are threads, and outlive a caller that dies: as pods do.

    Args:
        store: gets the results.
        command: what a step does.
    """

    def __init__(self, store: FakeStore, command: Callable[[Step], Spec]) -> None:
        self._store = store
        self._command = command
        self._running: dict[str, threading.Thread] = {}
        self._failures: dict[str, BaseException] = {}
        self.started: list[str] = []
        """The runs whose steps were started."""
        self.dies: Callable[[], object] | None = None
        """When set, the next caller of `run` dies when this returns; the command goes on."""

    def await_earlier(self, step: Step, *, log: LogLine) -> None:
        if earlier := self._running.pop(step.identity, None):
            log(f"waiting for an earlier {step.name}")
            earlier.join(30)
            if failure := self._failures.pop(step.identity, None):
                log(f"it failed: {failure}")

    def run(self, step: Step, *, log: LogLine) -> None:
        earlier = self._running.get(step.identity)
        assert earlier is None or not earlier.is_alive(), f"two commands of {step.identity} at a time"
        self.started.append(step.run)
        self._running[step.identity] = command = threading.Thread(target=self._perform, args=(step,), daemon=True)
        command.start()
        if self.dies is not None:
            dies, self.dies = self.dies, None
            dies()
            raise TaskDiedError
        command.join(30)
        del self._running[step.identity]
        if failure := self._failures.pop(step.identity, None):
            raise failure

    def _perform(self, step: Step) -> None:
        try:
            self._store.put_bytes(step.result_key, self._command(step).model_dump_json().encode())
        except BaseException as failure:  # the tests' own, too, which stand for a killed process
            self._failures[step.identity] = failure
