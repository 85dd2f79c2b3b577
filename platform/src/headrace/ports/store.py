"""The object store: bytes under keys. Datasets, checkpoints, step results and served models live here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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
        """Every object whose key starts with `prefix`, ordered by key."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; removing an absent one is not an error."""
        ...
