"""An object store behind the S3 protocol (MinIO, or any other that speaks it), through the `minio` client."""

from __future__ import annotations

import hashlib
import io
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError

from headrace.config import MinioSettings
from headrace.errors import InvalidSpecError, NotFoundError, UnavailableError
from headrace.ports.store import StoredObject, check_key

_CHUNK_BYTES = 1 << 20
_KEPT_SECONDS = 3600
_TIMEOUT = urllib3.Timeout(connect=5, read=60)
_RETRIES = urllib3.Retry(total=3, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504))


class MinioStore:
    """Implements `ports.store.ObjectStore` in one bucket, made when absent.

    The server checks what it receives: every request carries the body's SHA-256 or, over TLS, its MD5. Large files are sent in
    parts of some megabytes.

    Args:
        settings: address, bucket and keys.
        cache: a folder for fetched objects. What a key held before is removed from it after an hour.

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
        with self._translated(check_key(key)), self._content(key) as response:
            return response.data

    def fetch(self, key: str) -> Path:
        """See the port: a copy in the cache folder, under the key and the content's tag."""
        folder = self._cache / hashlib.sha256(check_key(key).encode()).hexdigest()
        with self._translated(key):
            found = self._client.stat_object(self._bucket, key)
            path = folder / _file_name(key, found.etag or "")
            return path if path.is_file() else self._fetch_into(folder, key)

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

    def _fetch_into(self, folder: Path, key: str) -> Path:
        """Download the present content, under the tag that came with it: it may be newer than the one asked about before."""
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{uuid.uuid4().hex}"
        try:
            with self._content(key) as response, temporary.open("wb") as file:
                path = folder / _file_name(key, response.headers["etag"].strip('"'))
                for chunk in response.stream(_CHUNK_BYTES):
                    file.write(chunk)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _forget_former(path)
        return path

    @contextmanager
    def _content(self, key: str) -> Iterator[urllib3.BaseHTTPResponse]:
        with closing(self._client.get_object(self._bucket, key)) as response:
            yield response
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
            raise UnavailableError(
                f"the object store refused: {error.code}: {error.message}", where=self._where, remedy="Check keys and policies."
            ) from error
        except (urllib3.exceptions.HTTPError, InvalidResponseError, ServerError) as error:
            raise UnavailableError(
                f"the object store does not answer: {error}", where=self._where, remedy="Check its address and that it runs."
            ) from error


def _forget_former(path: Path) -> None:
    """Remove what the key held before, and downloads that died; not at once: someone may be about to open it.

    Whoever has it open or mapped keeps it until they let go.
    """
    for other in path.parent.iterdir():
        with suppress(FileNotFoundError):  # another process tidies, too
            if other != path and time.time() - other.stat().st_mtime > _KEPT_SECONDS:
                other.unlink()


def _file_name(key: str, etag: str) -> str:
    return f"{etag}{Path(key).suffix}"
