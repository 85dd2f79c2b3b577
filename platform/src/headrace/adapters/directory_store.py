"""An object store in a directory: the embedded stack's, with the key layout of any other store."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO

from headrace.errors import InvalidSpecError, NotFoundError, UnavailableError
from headrace.ports.store import StoredObject, check_expiry, check_key

_INCOMING = ".incoming"
"""Folder of half-written files: in the root, so that renaming one into place never crosses a file system."""
_ABANDONED_SECONDS = 24 * 3600


class DirectoryStore:
    """Implements `ports.store.ObjectStore`; a key is a path below `root`, which is made when absent."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._incoming = self._root / _INCOMING
        with _translated(str(self._root)):
            self._incoming.mkdir(parents=True, exist_ok=True)
            self._sweep()

    def put_bytes(self, key: str, data: bytes) -> StoredObject:
        """See the port."""
        return self._put(key, lambda file: file.write(data))

    def put_file(self, key: str, path: Path) -> StoredObject:
        """See the port."""

        def copy(file: IO[bytes]) -> None:
            with path.open("rb") as origin:
                shutil.copyfileobj(origin, file, 1 << 20)

        return self._put(key, copy)

    def get_bytes(self, key: str) -> bytes:
        """See the port."""
        with _translated(key):
            return self._path(key).read_bytes()

    def fetch(self, key: str) -> Path:
        """See the port: the stored file itself."""
        path = self._path(key)
        if not path.is_file():
            raise _absent(key)
        return path

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See the port."""
        folder = prefix.rpartition("/")[0]
        start = self._path(folder) if folder else self._root
        yield from self._walk(start, f"{folder}/" if folder else "", prefix)

    def delete(self, key: str) -> None:
        """See the port. Folders left empty go with it."""
        path = self._path(key)
        with _translated(key):
            path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self._root:
                return
            try:
                folder.rmdir()
            except OSError:  # not empty, or somebody else was faster: either way it stays as it is
                return

    def uri(self, prefix: str) -> str:
        """See the port: the folder."""
        return str(self._root / prefix)

    def presign(self, key: str, *, expires: timedelta) -> str:
        """See the port: the file's own URL."""
        check_expiry(expires)
        return self._path(key).as_uri()

    def _path(self, key: str) -> Path:
        if check_key(key).split("/", 1)[0] == _INCOMING:
            raise InvalidSpecError(f"keys below {_INCOMING}/ are reserved", where=key, remedy="Choose another key.")
        return self._root / key

    def _put(self, key: str, write: Callable[[IO[bytes]], object]) -> StoredObject:
        path = self._path(key)
        temporary = self._incoming / uuid.uuid4().hex
        with _translated(key):
            try:
                with temporary.open("xb") as file:
                    write(file)
                    file.flush()
                    os.fsync(file.fileno())
                    status = os.fstat(file.fileno())
                _move_into_place(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
        return _stored(key, status)

    def _walk(self, folder: Path, base: str, prefix: str) -> Iterator[StoredObject]:
        # A folder sorts as its name with a slash, so that the order is that of whole keys: `a-b`, `a/b`, `ab`.
        try:
            with os.scandir(folder) as entries:
                named = sorted((f"{base}{entry.name}/" if entry.is_dir() else f"{base}{entry.name}", entry) for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return
        for key, entry in named:
            if key == f"{_INCOMING}/" or not key.startswith(prefix):
                continue
            if entry.is_dir():
                yield from self._walk(Path(entry.path), key, prefix)
            else:
                with suppress(FileNotFoundError):  # deleted while we list
                    yield _stored(key, entry.stat())

    def _sweep(self) -> None:
        """Remove what writers that died left behind long ago."""
        for left in self._incoming.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                    left.unlink()


def _move_into_place(temporary: Path, path: Path) -> None:
    for last_try in (False, True):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.replace(path)
            break
        except FileNotFoundError:  # a concurrent delete removed the folder as empty
            if last_try:
                raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself must survive a power cut
    finally:
        os.close(folder)


def _stored(key: str, status: os.stat_result) -> StoredObject:
    # A put makes a new inode, an overwrite in place a new mtime: either way the tag changes, and a listing has it for nothing.
    return StoredObject(key, status.st_size, f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}")


def _absent(key: str) -> NotFoundError:
    return NotFoundError("the object does not exist", where=key, remedy="Check the key, or make what should have written it run.")


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise _absent(key) from error
    except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise InvalidSpecError(
            "a key cannot be the folder of another", where=key, remedy="Choose a key that lies beside the other."
        ) from error
    except OSError as error:
        raise UnavailableError(
            f"the directory store failed: {error.strerror}",
            where=str(error.filename or key),
            remedy="Check space and permissions.",
        ) from error
