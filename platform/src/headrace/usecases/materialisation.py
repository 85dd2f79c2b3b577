"""What identifies a materialisation: the same key means that ingesting again would give the same content."""

from __future__ import annotations

import hashlib
import json

from headrace.specs.dataset import DatasetManifest, DatasetSpec, DatasetVersion, Materialisation, Split, dataset_prefix

INGEST_VERSION = 1
"""Raise it whenever the same input and parameters give other files."""


def materialisation_key(spec: DatasetSpec) -> str:
    """SHA-256 over the declared digests of the sources, the parameters and the code's version, as canonical JSON."""
    parts = {
        "sources": [file.sha256 for file in spec.source.files],
        "parameters": spec.parameters,
        "ingest_version": INGEST_VERSION,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def materialisation_of(manifest: DatasetManifest) -> Materialisation:
    """What the catalogue records of a version whose manifest is stored."""
    version = DatasetVersion(
        dataset=manifest.dataset,
        version=manifest.version,
        location=f"{dataset_prefix(manifest.dataset)}{manifest.version}/",
        digest=manifest.digest,
        rows={split: manifest.rows(split) for split in Split},
        created=manifest.created,
    )
    return Materialisation(key=manifest.key, version=version, sources=manifest.sources)


def what_changed(spec: DatasetSpec, manifest: DatasetManifest) -> str | None:
    """How a spec differs from the one a version was made from, for people; None when it would give the same content."""
    if manifest.key == materialisation_key(spec):
        return None
    declared = {file.name: file.sha256 for file in spec.source.files}
    known = {stamp.name: stamp.sha256 for stamp in manifest.sources}
    sources = [name for name in declared if declared[name] != known.get(name)]
    if sources:
        return f"source {', '.join(sources)} changed"
    parameters = [
        f"{name} {manifest.parameters.get(name)} → {value}"
        for name, value in spec.parameters.items()
        if manifest.parameters.get(name) != value
    ]
    if parameters:
        return f"parameters changed: {', '.join(parameters)}"
    return f"the ingest code changed: version {manifest.ingest_version} → {INGEST_VERSION}"
