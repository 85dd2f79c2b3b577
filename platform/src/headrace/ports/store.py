"""The object store: bytes under keys. Datasets, checkpoints, step results and served models live here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from headrace.errors import InvalidSpecError

_LONGEST_KEY = 1024  # bytes; S3's own limit
_LONGEST_EXPIRY = timedelta(days=7)  # likewise


@dataclass(frozen=True)
class StoredObject:
    """One object as a listing shows it, without its content.

    Attributes:
        key: the full key.
        size: bytes.
        etag: changes whenever the content is replaced, even by content of the same size.
    """

    key: str
    size: int
    etag: str


class ObjectStore(Protocol):
    """Bytes under keys. A key is a relative POSIX path without `.` or `..` parts; anything else is an InvalidSpecError.

    No key may be the folder of another (`a` and `a/b`): a store may refuse the second with an InvalidSpecError.
    Puts are atomic: a reader sees the old object, the new one or none, never a part; a crash leaves the old one. A store
    across a network records what was put (its SHA-256), and raises a CorruptError instead of handing out anything else.

    A store that is restarted or unreachable for half a minute is waited for. After that, and when it refuses, all methods may
    raise UnavailableError.
    """

    def put_bytes(self, key: str, data: bytes) -> StoredObject:
        """Store `data`, replacing what was there."""
        ...

    def put_file(self, key: str, path: Path) -> StoredObject:
        """Store a copy of the file's content, replacing what was there. Memory stays bounded whatever its size."""
        ...

    def get_bytes(self, key: str) -> bytes:
        """Return the content.

        Raises:
            NotFoundError: no such key.
        """
        ...

    def fetch(self, key: str) -> Path:
        """Return a local file with the content, to be read or memory-mapped, never written.

        The same content is fetched once a machine; later calls return the same file.

        Raises:
            NotFoundError: no such key.
        """
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Every object whose key starts with `prefix` (any text; empty for all), ordered by key, read as it is consumed."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; removing an absent one is not an error."""
        ...

    def uri(self, prefix: str) -> str:
        """How another program addresses what lies below `prefix`: an absolute folder, or `s3://<bucket>/<prefix>`."""
        ...

    def presign(self, key: str, *, expires: timedelta) -> str:
        """A URL that gives whoever has it the object's content, without credentials, until it expires.

        Whether there is such an object is not looked at. A directory's is a `file://` URL: it holds on this machine, for whoever
        may read the file, and ends with the object.

        Args:
            key: of the object.
            expires: from now; between a second and seven days.

        Raises:
            InvalidSpecError: no key, or no such duration.
        """
        ...


def check_expiry(expires: timedelta) -> timedelta:
    """Return the duration if a presigned URL may last that long.

    Raises:
        InvalidSpecError: it is under a second, or over seven days.
    """
    if not timedelta(seconds=1) <= expires <= _LONGEST_EXPIRY:
        raise InvalidSpecError("a URL lasts between a second and seven days", where=str(expires), remedy="Choose one in between.")
    return expires


def check_key(key: str) -> str:
    """Return the key if it is one.

    Raises:
        InvalidSpecError: it is empty, absolute, too long, or has a part that is empty, `.` or `..`.
    """
    parts = key.split("/")
    if not key or len(key.encode()) > _LONGEST_KEY or "\0" in key or any(part in {"", ".", ".."} for part in parts):
        raise InvalidSpecError(
            "not a key of the object store", where=repr(key), remedy="Use a relative path without `.`, `..` or empty parts."
        )
    return key
