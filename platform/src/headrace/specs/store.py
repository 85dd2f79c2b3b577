"""Who may do what in an object store: what an installation wants of a store that it administers itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from headrace.specs.base import Spec

Bucket = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Account = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]


class Access(StrEnum):
    """What may be done to objects."""

    READ = "read"
    WRITE = "write"
    """Reading included, and deleting."""


class Grant(Spec):
    """One account's access to a part of a bucket."""

    bucket: Bucket
    prefix: str = ""
    """Of the keys it holds for; empty for all."""
    access: Access


class StorePlan(Spec):
    """The buckets there shall be, and the accounts with all they may do."""

    buckets: tuple[Bucket, ...]
    users: dict[Account, tuple[Grant, ...]]


class StoreKeys(Spec):
    """An account's keys."""

    access_key: str
    secret_key: str
