"""The object store: bytes under keys. Datasets, checkpoints, step results and served models live here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from headrace.errors import InvalidSpecError

_LONGEST_KEY = 1024  # bytes; S3's own limit


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
    Puts are atomic: a reader sees the old object, the new one or none, never a part; a crash leaves the old one. All methods
    may raise UnavailableError when the store does not answer.
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
