"""Moving objects to and from an S3 store: in parallel parts, over dropped connections, their content proved by SHA-256.

The digest is recorded beside an object when it is put, so that it holds for every store that speaks the protocol, whatever
checksums of its own that store knows. An object that another program put has none, and is checked by its size alone.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import S3Error
from minio.helpers import DictType
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from headrace.adapters.minio_client import NO_BUCKET, PARALLEL, Patience
from headrace.errors import CorruptError, UnavailableError

_PART_BYTES = 8 << 20
_MOST_PARTS = 10_000
_CHUNK_BYTES = 1 << 20
_DIGEST = "sha256"
_DIGEST_HEADER = f"x-amz-meta-{_DIGEST}"
_BROKEN_OFF = (ProtocolError, ReadTimeoutError)
_UPLOAD_IS_GONE = ("NoSuchUpload", "InvalidPart")
"""The answer to a completion that is asked for again since the first answer was lost, or after the server lost parts."""
_UPLOADS_TRIED = 3

type Data = io.BytesIO | io.BufferedReader


@dataclass(frozen=True)
class Content:
    """What a key holds at a time; replaced as a whole or not at all.

    Attributes:
        key: the key.
        etag: the store's tag of it.
        size: bytes.
        sha256: as recorded when it was put; None when another program put it.
    """

    key: str
    etag: str
    size: int
    sha256: str | None


class Transfer:
    """Moves objects of one bucket. Memory: some parts of 8 MiB (of more for an object of over 80 GB).

    Its methods raise the client's own errors, and wait for a store that is away as long as the patience lasts.
    """

    def __init__(self, client: Minio, bucket: str, patience: Patience) -> None:
        self._client, self._bucket, self._patience = client, bucket, patience

    def look(self, key: str) -> Content:
        """What the key holds now."""
        found = self._client.stat_object(self._bucket, key)
        return Content(key, found.etag or "", found.size or 0, (found.metadata or {}).get(_DIGEST_HEADER))

    def put(self, key: str, data: Data, size: int) -> Content:
        """Store `data` from where it stands to its end, which is `size` bytes away. A bucket that is absent is made.

        Raises:
            UnavailableError: the store loses the upload time and again.
        """
        start = data.tell()
        sha256 = hashlib.file_digest(data, "sha256").hexdigest()
        for _ in range(_UPLOADS_TRIED):
            data.seek(start)
            try:
                return self._upload(key, data, size, sha256)
            except S3Error as error:
                if error.code == NO_BUCKET:
                    self._make_bucket()
                elif error.code not in _UPLOAD_IS_GONE:
                    raise
                elif stored := self._stored(key, sha256):
                    return stored
        raise UnavailableError(
            f"the object store lost the upload {_UPLOADS_TRIED} times", where=key, remedy="Look at the store's own log."
        )

    def read(self, key: str) -> bytes:
        """What the key holds.

        Raises:
            CorruptError: it is not what was put.
        """
        patience = self._patience
        while True:
            try:
                with self._get(key) as response:
                    data, sha256 = response.data, response.headers.get(_DIGEST_HEADER)
                break
            except _BROKEN_OFF as error:
                patience = _wait(patience, key, error)
        _prove(key, hashlib.sha256(data).hexdigest(), sha256)
        return data

    def download(self, content: Content, path: Path) -> None:
        """Write a content into a new file: never a mixture with what replaced it, which is an S3Error `PreconditionFailed`.

        Raises:
            CorruptError: it is not what was put.
        """
        with path.open("xb+") as file:
            file.truncate(content.size)
            with ThreadPoolExecutor(PARALLEL, "download") as threads:
                parts = [
                    threads.submit(self._download_part, content, file.fileno(), start)
                    for start in range(0, content.size, _PART_BYTES)
                ]
                try:
                    for part in as_completed(parts):
                        part.result()
                except BaseException:
                    threads.shutdown(wait=False, cancel_futures=True)
                    raise
            _prove(content.key, hashlib.file_digest(file, "sha256").hexdigest(), content.sha256)

    def _upload(self, key: str, data: Data, size: int, sha256: str) -> Content:
        part = math.ceil(max(size / _MOST_PARTS, 1) / _PART_BYTES) * _PART_BYTES
        written = self._client.put_object(
            self._bucket, key, data, size, metadata={_DIGEST: sha256}, part_size=part, num_parallel_uploads=PARALLEL
        )
        return Content(key, written.etag or "", size, sha256)

    def _stored(self, key: str, sha256: str) -> Content | None:
        """The content with that digest, if that is what the key holds."""
        try:
            found = self.look(key)
        except S3Error:
            return None
        return found if found.sha256 == sha256 else None

    def _make_bucket(self) -> None:
        try:
            self._client.make_bucket(self._bucket)
        except S3Error as error:
            if error.code != "BucketAlreadyOwnedByYou":  # another process was faster
                raise

    def _download_part(self, content: Content, file: int, start: int) -> None:
        """Write a part to its place; after a dropped connection, go on where it broke off."""
        position, end, patience = start, min(start + _PART_BYTES, content.size), self._patience
        while position < end:
            try:
                with self._get(content.key, position, end - position, content.etag) as response:
                    for chunk in response.stream(_CHUNK_BYTES):
                        os.pwrite(file, chunk, position)
                        position += len(chunk)
                        patience = self._patience
                if position < end:
                    raise ProtocolError(f"it ends at byte {position}, before {end}")
            except _BROKEN_OFF as error:
                patience = _wait(patience, content.key, error)

    @contextmanager
    def _get(self, key: str, offset: int = 0, length: int = 0, etag: str = "") -> Iterator[urllib3.BaseHTTPResponse]:
        """A part of what a key holds (all of it unless said otherwise), of the content with that tag if one is given."""
        headers: DictType = {"If-Match": f'"{etag}"'} if etag else {}
        with closing(self._client.get_object(self._bucket, key, offset, length, headers)) as response:
            yield response
            response.release_conn()


def _wait(patience: Patience, key: str, error: Exception) -> Patience:
    """Let some time pass after a failure; what is left of the patience."""
    left = patience.increment("GET", key, error=error)
    left.sleep()
    return left


def _prove(key: str, found: str, recorded: str | None) -> None:
    if recorded is not None and found != recorded:
        raise CorruptError(
            f"the object is not what was put: its SHA-256 is {found}, not {recorded}",
            where=key,
            remedy="Make what wrote it run again, and look at the store's disks.",
        )
