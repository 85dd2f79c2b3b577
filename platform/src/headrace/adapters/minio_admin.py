"""The administration of a MinIO server: buckets, accounts and their policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import urllib3
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, S3Error

from headrace.adapters.minio_client import Patience, connect, translated
from headrace.config import MinioSettings
from headrace.errors import UnavailableError
from headrace.render.store_policy import render_policy
from headrace.specs.store import StoreKeys, StorePlan

_PATIENCE_SECONDS = 600.0
_TIMEOUT = urllib3.Timeout(connect=5, read=30)
_THERE_ALREADY = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


class MinioAdministrator:
    """Makes a MinIO server what a plan says. It never removes a bucket or an account that the plan does not name.

    Args:
        settings: the server's address, with the keys of an administrator.
        patience: for how many seconds a server that is away is waited for.

    Raises:
        InvalidSpecError: the address is malformed.
    """

    def __init__(self, settings: MinioSettings, *, patience: float = _PATIENCE_SECONDS) -> None:
        self._where = settings.endpoint
        waiting = Patience(seconds=patience)
        self._client = connect(settings, waiting)
        self._admin = MinioAdmin(
            endpoint=settings.endpoint,
            credentials=StaticProvider(settings.access_key, settings.secret_key),
            secure=settings.secure,
            http_client=urllib3.PoolManager(timeout=_TIMEOUT, retries=waiting),
        )

    def prepare(self, plan: StorePlan, keys: Mapping[str, StoreKeys]) -> None:
        """Make buckets, accounts and policies as planned; doing so again changes nothing.

        Args:
            plan: what there shall be.
            keys: of every account of the plan.

        Raises:
            UnavailableError: the server does not answer, or refuses.
        """
        for bucket in plan.buckets:
            self._make_bucket(bucket)
        for account, grants in plan.users.items():
            self._make_user(f"headrace-{account}", keys[account], render_policy(grants))

    def _make_bucket(self, bucket: str) -> None:
        with translated(bucket, where=self._where):
            try:
                self._client.make_bucket(bucket)
            except S3Error as error:
                if error.code not in _THERE_ALREADY:
                    raise

    def _make_user(self, policy_name: str, keys: StoreKeys, policy: dict[str, Any]) -> None:
        with self._explained(f"the account {keys.access_key} cannot be made"):
            self._admin.policy_add(policy_name, policy=policy)
            self._admin.user_add(keys.access_key, keys.secret_key)
            self._admin.policy_set(policy_name, user=keys.access_key)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except MinioAdminException as error:
            raise UnavailableError(
                f"{what}: {error}",
                where=self._where,
                remedy="An administrator makes accounts; a secret key has 8 to 40 characters.",
            ) from error
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(
                f"{what}: the server does not answer: {error}", where=self._where, remedy="Check that it runs."
            ) from error
