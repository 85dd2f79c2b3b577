"""Verifying a stored version: one read of its manifest and one listing; the data themselves only where these leave a doubt."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from headrace.errors import CorruptError, NotFoundError
from headrace.ports.store import ObjectStore, StoredObject
from headrace.specs.dataset import DatasetManifest, DatasetVersion, Shard


@dataclass(frozen=True)
class Verdict:
    """What verifying found.

    Attributes:
        problem: why the version must not be used; None when it may be.
        evidence: what was looked at, for people.
    """

    problem: str | None
    evidence: str = ""


def load_manifest(version: DatasetVersion, store: ObjectStore) -> DatasetManifest:
    """Read a version's manifest and hold it against what the catalogue recorded.

    Raises:
        CorruptError: it is missing, unreadable, or another version's.
    """
    try:
        manifest = DatasetManifest.parse(store.get_bytes(version.manifest_key), where=version.manifest_key)
    except NotFoundError as error:
        raise CorruptError("the manifest is missing", where=version.manifest_key) from error
    if manifest.digest != version.digest or manifest.version != version.version:
        raise CorruptError("the manifest is not the one that was committed", where=version.manifest_key)
    return manifest


def verify(version: DatasetVersion, manifest: DatasetManifest, store: ObjectStore, *, full: bool) -> Verdict:
    """Check that every shard is stored as it was written.

    A shard whose tag is not the one recorded, but whose size is, may be an identical copy (a restored or moved store): it is
    hashed to find out.

    Args:
        version: as the catalogue knows it.
        manifest: its manifest.
        store: where it lies.
        full: hash every shard.
    """
    stored = {found.key: found for found in store.list(version.location)}
    hashed = []
    for shard in manifest.shards:
        key = version.location + shard.key
        problem, doubtful = _compare(shard, stored.get(key))
        if problem is None and (full or doubtful):
            hashed.append(shard.key)
            problem = _compare_content(shard, key, store)
        if problem is not None:
            return Verdict(problem=problem)
    return Verdict(problem=None, evidence=_evidence(manifest, hashed))


def _compare(shard: Shard, found: StoredObject | None) -> tuple[str | None, bool]:
    """The problem that a listing shows, and whether only hashing can tell."""
    if found is None:
        return f"shard {shard.key} is missing", False
    if found.size != shard.size:
        return f"shard {shard.key} has {found.size} bytes, not {shard.size}", False
    return None, found.etag != shard.etag


def _compare_content(shard: Shard, key: str, store: ObjectStore) -> str | None:
    try:
        with store.fetch(key).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except NotFoundError:  # removed since the listing
        return f"shard {shard.key} is missing"
    except CorruptError:
        return f"shard {shard.key} is damaged"
    return None if digest == shard.sha256 else f"shard {shard.key} was replaced by other content"


def _evidence(manifest: DatasetManifest, hashed: list[str]) -> str:
    count = len(manifest.shards)
    if len(hashed) == count:
        return f"{count} shards verified by hashing"
    if hashed:
        return f"{count} shards verified by listing, {len(hashed)} of them replaced since and found equal by hashing"
    return f"{count} shards verified by listing"
