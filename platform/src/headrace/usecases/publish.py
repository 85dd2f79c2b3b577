"""Publishing: a registered version's files, copied to where serving reads them.

Serving keeps a copy of its own below `models/<model>/<version>/`, so that a version deleted from the registry goes on serving.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

from headrace.errors import CorruptError, NotFoundError
from headrace.ports.registry import ModelRegistry, ModelVersion
from headrace.ports.store import ObjectStore
from headrace.specs.serving import SlotMember

MODEL_FILES = ("golden.npz", "model.json", "model.onnx")
"""What a node needs: the network, the answers recorded at training, and what the version is called."""

DATASET_VERSION_TAG = "headrace.dataset_version"
"""Of a registered version: what it was trained on."""


def publish(
    model: str, version: int, *, slot: int, weight: float = 1.0, registry: ModelRegistry, store: ObjectStore
) -> SlotMember:
    """Make sure serving has the version's files, and return the slot filled with it. Publishing twice copies once.

    Raises:
        NotFoundError: the registry has no such version, and serving has no copy.
        CorruptError: the version lacks a file that serving needs.
    """
    prefix = published_prefix(model, version)
    try:
        manifest = json.loads(store.get_bytes(f"{prefix}manifest.json"))
    except NotFoundError:
        manifest = _copy(registry.version(model, version), prefix, registry, store)
    return SlotMember(
        slot=slot,
        model=model,
        version=version,
        run_id=manifest["run_id"],
        location=store.uri(prefix),
        digest=manifest["digest"],
        weight=weight,
        dataset_version=manifest.get("dataset_version", ""),
    )


def published_prefix(model: str, version: int) -> str:
    """Key prefix of the files of a version that serves, ending in `/`."""
    return f"models/{model}/{version}/"


def _copy(version: ModelVersion, prefix: str, registry: ModelRegistry, store: ObjectStore) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="headrace-publish-") as temporary:
        folder = registry.download(version, Path(temporary))
        digests = hashlib.sha256()
        for name in MODEL_FILES:
            path = folder / name
            if not path.is_file():
                raise CorruptError(
                    f"version {version.version} of {version.model} has no {name}",
                    where=f"run {version.run_id}",
                    remedy="Register a model trained by headrace, or add the file to the logged model.",
                )
            digests.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
            store.put_file(prefix + name, path)
    manifest = {
        "run_id": version.run_id,
        "digest": digests.hexdigest(),
        "dataset_version": version.tags.get(DATASET_VERSION_TAG, ""),
    }
    store.put_bytes(f"{prefix}manifest.json", json.dumps(manifest).encode())
    return manifest
