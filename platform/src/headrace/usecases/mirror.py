"""Mirroring: a dataset's raw files, copied into the store for machines that can neither install nor download them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from headrace.errors import CorruptError, NotFoundError
from headrace.ports.source import Source
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import DatasetSpec
from headrace.specs.mirror import MirroredFile, MirrorManifest, mirror_manifest_key, mirror_prefix

Progress = Callable[[MirroredFile], None]
"""Called with each file once it is stored."""


def mirror_source(spec: DatasetSpec, base: Path, *, source: Source, store: ObjectStore, progress: Progress) -> MirrorManifest:
    """Make sure that the store holds the raw files the spec declares, and return what it holds.

    Nothing is read or copied when it does already. The manifest comes last, and goes first where files are replaced: who looks
    meanwhile, or after a crash, finds nothing mirrored.

    Args:
        spec: the dataset.
        base: the folder a relative source path is relative to.
        source: finds the raw files; it must not look in the mirror.
        store: gets them.
        progress: told of each file that is copied.

    Raises:
        SourceError: a file is found nowhere, or is not what the spec declares; nothing was changed.
    """
    if (known := _mirrored(spec, store)) is not None:
        return known
    key, prefix = mirror_manifest_key(spec.name), mirror_prefix(spec.name)
    copied = []
    with source.files(spec.source, base) as paths:
        store.delete(key)
        for file in spec.source.files:
            stored = store.put_file(prefix + file.name, paths[file.name])
            copied.append(MirroredFile(name=file.name, sha256=file.sha256, size=stored.size, etag=stored.etag))
            progress(copied[-1])
    manifest = MirrorManifest(dataset=spec.name, files=tuple(copied))
    store.put_bytes(key, manifest.model_dump_json(indent=2).encode())
    return manifest


def _mirrored(spec: DatasetSpec, store: ObjectStore) -> MirrorManifest | None:
    """The manifest, if it names what the spec declares and the store still holds what it names."""
    key = mirror_manifest_key(spec.name)
    try:
        manifest = MirrorManifest.parse(store.get_bytes(key), where=key)
    except (NotFoundError, CorruptError):
        return None
    prefix = mirror_prefix(spec.name)
    stored = {(found.key, found.size, found.etag) for found in store.list(prefix)}
    declared = all(manifest.holds(file) for file in spec.source.files)
    return manifest if declared and all((prefix + each.name, each.size, each.etag) in stored for each in manifest.files) else None
