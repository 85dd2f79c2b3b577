"""The `minio` client, patient with a store that is away for a while, and its failures in the platform's words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError
from minio.helpers import check_bucket_name

from headrace.config import MinioSettings
from headrace.errors import HeadraceError, InvalidSpecError, NotFoundError, UnavailableError

NO_BUCKET = "NoSuchBucket"
PARALLEL = 4
"""How many parts of an object travel at once."""

_TIMEOUT = urllib3.Timeout(connect=5, read=60)
_OVERLOADED_OR_STARTING = (500, 502, 503, 504)


class Patience(urllib3.Retry):
    """Repeats a request, whatever its method, until a store that is away has not come back for so many seconds.

    Counted from the first failure. A server's Retry-After is not obeyed: MinIO asks for a minute while it starts, which takes
    it some seconds.
    """

    def __init__(self, *, seconds: float, deadline: float | None = None, **options: Any) -> None:
        lasting: dict[str, Any] = {
            "total": None,
            "redirect": 3,
            "allowed_methods": None,
            "status_forcelist": _OVERLOADED_OR_STARTING,
            "backoff_factor": 0.25,
            "backoff_max": 3,
            "backoff_jitter": 0.25,
            "respect_retry_after_header": False,
        }
        super().__init__(**lasting | options)
        self._seconds, self._deadline = seconds, deadline

    def new(self, **changes: Any) -> Self:
        """The patience that is left after a failure."""
        deadline = self._deadline or time.monotonic() + self._seconds
        return super().new(seconds=self._seconds, deadline=deadline, **changes)

    def is_exhausted(self) -> bool:
        """Whether it is over, or the server redirects in circles."""
        return super().is_exhausted() or (self._deadline is not None and time.monotonic() >= self._deadline)


def connect(settings: MinioSettings, patience: Patience) -> Minio:
    """A client; nothing is asked of the server yet.

    Raises:
        InvalidSpecError: the address or the bucket's name is malformed.
    """
    try:
        check_bucket_name(settings.bucket, strict=True)
        return Minio(
            settings.endpoint,
            access_key=settings.access_key or None,
            secret_key=settings.secret_key or None,
            secure=settings.secure,
            region=settings.region,
            http_client=urllib3.PoolManager(timeout=_TIMEOUT, retries=patience, maxsize=2 * PARALLEL),
        )
    except ValueError as error:
        raise InvalidSpecError(f"the object store's settings are malformed: {error}", where="minio") from error


@contextmanager
def translated(key: str, *, where: str) -> Iterator[None]:
    """Raise the client's errors as the platform's.

    Args:
        key: what was asked for.
        where: the store's address and bucket.
    """
    try:
        yield
    except S3Error as error:
        raise _refusal(error, key, where) from error
    except (urllib3.exceptions.HTTPError, InvalidResponseError, ServerError) as error:
        raise UnavailableError(
            f"the object store does not answer: {error}", where=where, remedy="Check its address and that it runs."
        ) from error


def _refusal(error: S3Error, key: str, where: str) -> HeadraceError:
    if error.code == "NoSuchKey":
        return NotFoundError(
            "the object does not exist", where=key, remedy="Check the key, or make what should have written it run."
        )
    if error.code == NO_BUCKET:
        return NotFoundError(
            f"the object does not exist, nor does its bucket {where}",
            where=key,
            remedy="Check the bucket's name; the first object that is put makes the bucket.",
        )
    if error.code == "XMinioParentIsObject":
        return InvalidSpecError(
            "a key cannot be the folder of another", where=key, remedy="Choose a key that lies beside the other."
        )
    return UnavailableError(
        f"the object store refused: {error.code}: {error.message}", where=f"{where}/{key}", remedy="Check keys and policies."
    )
