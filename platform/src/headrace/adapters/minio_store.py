"""An object store behind the S3 protocol (MinIO, or any other that speaks it), through the `minio` client."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import urllib3
from minio import Minio
from minio.datatypes import Object
from minio.error import InvalidResponseError, S3Error, ServerError

from headrace.config import MinioSettings
from headrace.errors import CorruptError, InvalidSpecError, NotFoundError, UnavailableError
from headrace.ports.store import StoredObject, check_key

_CHUNK_BYTES = 1 << 20
_TIMEOUT = urllib3.Timeout(connect=5, read=60)
_RETRIES = urllib3.Retry(total=3, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504))
_REPLACED = "PreconditionFailed"
_FETCH_TRIES = 3

_Headers = dict[str, str | list[str] | tuple[str]] | None


class MinioStore:
    """Implements `ports.store.ObjectStore` in one bucket, made when absent.

    The server checks what it receives: every request carries the body's SHA-256 or, over TLS, its MD5. Large files are sent in
    parts of some megabytes.

    Args:
        settings: address, bucket and keys.
        cache: a folder for fetched objects. Only the present content of a key is kept there.

    Raises:
        UnavailableError: the store does not answer, or refuses the keys.
        InvalidSpecError: the address or the bucket's name is malformed.
    """

    def __init__(self, settings: MinioSettings, *, cache: Path) -> None:
        self._bucket = settings.bucket
        self._cache = cache / hashlib.sha256(f"{settings.endpoint}/{settings.bucket}".encode()).hexdigest()[:16]
        self._where = f"{settings.endpoint}/{settings.bucket}"
        try:
            self._client = Minio(
                settings.endpoint,
                access_key=settings.access_key or None,
                secret_key=settings.secret_key or None,
                secure=settings.secure,
                http_client=urllib3.PoolManager(timeout=_TIMEOUT, retries=_RETRIES, maxsize=8),
            )
            self._make_bucket()
        except ValueError as error:
            raise InvalidSpecError(f"the object store's settings are malformed: {error}", where="minio") from error

    def put_bytes(self, key: str, data: bytes) -> StoredObject:
        """See the port."""
        with self._translated(check_key(key)):
            written = self._client.put_object(self._bucket, key, io.BytesIO(data), len(data))
        return StoredObject(key, len(data), written.etag or "")

    def put_file(self, key: str, path: Path) -> StoredObject:
        """See the port."""
        size = path.stat().st_size
        with self._translated(check_key(key)):
            written = self._client.fput_object(self._bucket, key, str(path))
        return StoredObject(key, size, written.etag or "")

    def get_bytes(self, key: str) -> bytes:
        """See the port."""
        content = io.BytesIO()
        self._download(check_key(key), content.write)
        return content.getvalue()

    def fetch(self, key: str) -> Path:
        """See the port: a copy in the cache folder, under the key and the content's tag."""
        folder = self._cache / hashlib.sha256(check_key(key).encode()).hexdigest()
        for _ in range(_FETCH_TRIES):
            with self._translated(key):
                found = self._client.stat_object(self._bucket, key)
            path = folder / f"{found.etag}{Path(key).suffix}"
            if path.is_file() or self._fetch_into(path, key, found):
                return path
        raise UnavailableError("the object is replaced faster than it can be fetched", where=key, remedy="Try again later.")

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See the port; read in pages of 1,000."""
        folder = prefix.rpartition("/")[0]
        if folder:
            check_key(folder)
        with self._translated(prefix):
            for found in self._client.list_objects(self._bucket, prefix=prefix, recursive=True):
                yield StoredObject(found.object_name, found.size, found.etag)

    def delete(self, key: str) -> None:
        """See the port."""
        with self._translated(check_key(key)):
            self._client.remove_object(self._bucket, key)

    def uri(self, prefix: str) -> str:
        """See the port."""
        return f"s3://{self._bucket}/{prefix}"

    def _make_bucket(self) -> None:
        with self._translated(self._bucket):
            if self._client.bucket_exists(self._bucket):
                return
            try:
                self._client.make_bucket(self._bucket)
            except S3Error as error:
                if error.code != "BucketAlreadyOwnedByYou":  # another process was faster
                    raise

    def _fetch_into(self, path: Path, key: str, wanted: Object) -> bool:
        """Download the content that has this very tag; False when the object was replaced meanwhile."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{uuid.uuid4().hex}")
        try:
            with temporary.open("wb") as file:
                self._download(key, file.write, headers={"If-Match": f'"{wanted.etag}"'})
            if temporary.stat().st_size != wanted.size:
                raise CorruptError("the download has another size than the object", where=key, remedy="Try again.")
            temporary.replace(path)
        except _ReplacedError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        for former in path.parent.iterdir():  # readers that have them mapped keep them until they let go
            if former != path and not former.name.startswith("."):
                former.unlink(missing_ok=True)
        return True

    def _download(self, key: str, write: Callable[[bytes], Any], headers: _Headers = None) -> None:
        with (
            self._translated(key),
            closing(self._client.get_object(self._bucket, key, request_headers=headers)) as response,
        ):
            for chunk in response.stream(_CHUNK_BYTES):
                write(chunk)
            response.release_conn()

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            if error.code == "NoSuchKey":
                raise NotFoundError(
                    "the object does not exist", where=key, remedy="Check the key, or make what should have written it run."
                ) from error
            if error.code == _REPLACED:
                raise _ReplacedError from error
            raise UnavailableError(
                f"the object store refused: {error.code}: {error.message}", where=self._where, remedy="Check keys and policies."
            ) from error
        except (urllib3.exceptions.HTTPError, InvalidResponseError, ServerError) as error:
            raise UnavailableError(
                f"the object store does not answer: {error}", where=self._where, remedy="Check its address and that it runs."
            ) from error


class _ReplacedError(Exception):
    """The object has another content than a moment ago."""
