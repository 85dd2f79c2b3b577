"""An object store behind the S3 protocol (MinIO, or any other that speaks it), through the `minio` client."""

from __future__ import annotations

import hashlib
import io
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from pathlib import Path

from minio.error import S3Error

from headrace.adapters.minio_client import NO_BUCKET, Patience, connect, translated
from headrace.adapters.minio_transfer import Content, Transfer
from headrace.config import MinioSettings
from headrace.errors import UnavailableError
from headrace.ports.store import StoredObject, check_expiry, check_key

_PATIENCE_SECONDS = 45.0
_KEPT_SECONDS = 3600


class MinioStore:
    """Implements `ports.store.ObjectStore` in one bucket, made by the first put when absent.

    The server checks what it receives: every request carries the body's SHA-256 or, over TLS, its MD5. What comes back is held
    against the SHA-256 recorded when it was put. A store that is away (restarted, unreachable) is waited for; large objects then
    go on with the parts that are missing. An upload that fails for good is called off; of one whose process is killed the parts
    stay, invisible, until the server discards them (MinIO after a day; elsewhere a lifecycle rule).

    Reading takes the rights s3:GetObject and s3:ListBucket; writing also s3:PutObject, s3:DeleteObject and
    s3:AbortMultipartUpload; s3:CreateBucket only where the bucket is absent.

    Args:
        settings: address, bucket and keys.
        cache: a folder for fetched objects. What a key held before is removed from it after an hour.
        patience: for how many seconds a store that is away is waited for, before it is an UnavailableError.

    Raises:
        InvalidSpecError: the address or the bucket's name is malformed.
    """

    def __init__(self, settings: MinioSettings, *, cache: Path, patience: float = _PATIENCE_SECONDS) -> None:
        self._bucket = settings.bucket
        self._where = f"{settings.endpoint}/{settings.bucket}"
        self._cache = cache / hashlib.sha256(self._where.encode()).hexdigest()[:16]
        self._patience_seconds = patience
        waiting = Patience(seconds=patience)
        self._client = connect(settings, waiting)
        self._transfer = Transfer(self._client, settings.bucket, waiting)

    def put_bytes(self, key: str, data: bytes) -> StoredObject:
        """See the port."""
        with self._translated(check_key(key)):
            return _as_listed(self._transfer.put(key, io.BytesIO(data), len(data)))

    def put_file(self, key: str, path: Path) -> StoredObject:
        """See the port; in parallel parts when it is large."""
        with self._translated(check_key(key)), path.open("rb") as file:
            return _as_listed(self._transfer.put(key, file, path.stat().st_size))

    def get_bytes(self, key: str) -> bytes:
        """See the port."""
        with self._translated(check_key(key)):
            return self._transfer.read(key)

    def fetch(self, key: str) -> Path:
        """See the port: a copy in the cache folder, under the key and the content's tag; in parallel parts when it is large."""
        folder = self._cache / hashlib.sha256(check_key(key).encode()).hexdigest()
        deadline = time.monotonic() + self._patience_seconds
        with self._translated(key):
            while True:
                content = self._transfer.look(key)
                path = folder / f"{content.etag}{Path(key).suffix}"
                try:
                    return path if path.is_file() else self._fetch_into(path, content)
                except S3Error as error:  # replaced since we looked: once more, with what is there now
                    if error.code != "PreconditionFailed" or time.monotonic() > deadline:
                        raise

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See the port; read in pages of 1,000."""
        folder = prefix.rpartition("/")[0]
        if folder:
            check_key(folder)
        with self._translated(prefix):
            try:
                for found in self._client.list_objects(self._bucket, prefix=prefix, recursive=True):
                    yield StoredObject(found.object_name, found.size, found.etag)
            except S3Error as error:
                if error.code != NO_BUCKET:  # nothing was ever put
                    raise

    def delete(self, key: str) -> None:
        """See the port."""
        with self._translated(check_key(key)):
            try:
                self._client.remove_object(self._bucket, key)
            except S3Error as error:
                if error.code != NO_BUCKET:
                    raise

    def uri(self, prefix: str) -> str:
        """See the port."""
        return f"s3://{self._bucket}/{prefix}"

    def presign(self, key: str, *, expires: timedelta) -> str:
        """See the port. Its host is the store's as this process addresses it."""
        with self._translated(check_key(key)):
            return str(self._client.presigned_get_object(self._bucket, key, check_expiry(expires)))

    def _fetch_into(self, path: Path, content: Content) -> Path:
        temporary = path.with_name(f".{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._transfer.download(content, temporary)
            temporary.replace(path)
        except OSError as error:
            raise UnavailableError(
                f"an object cannot be kept on this machine: {error.strerror}",
                where=str(path.parent),
                remedy="Check space and permissions there, or set HEADRACE_HOME to a folder that may be written.",
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        _forget_former(path)
        return path

    def _translated(self, key: str) -> AbstractContextManager[None]:
        return translated(key, where=self._where)


def _as_listed(content: Content) -> StoredObject:
    return StoredObject(content.key, content.size, content.etag)


def _forget_former(path: Path) -> None:
    """Remove what the key held before, and downloads that died; not at once: someone may be about to open it.

    Whoever has it open or mapped keeps it until they let go.
    """
    for other in path.parent.iterdir():
        with suppress(FileNotFoundError):  # another process tidies, too
            if other != path and time.time() - other.stat().st_mtime > _KEPT_SECONDS:
                other.unlink()
