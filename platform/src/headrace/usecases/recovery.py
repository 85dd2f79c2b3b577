"""What a crashed ingestion left behind: a version whose manifest and shards are stored is whole, anything else is garbage."""

from __future__ import annotations

from headrace.errors import CorruptError
from headrace.ports.catalogue import Catalogue
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import DatasetManifest, Materialisation, dataset_prefix
from headrace.usecases.materialisation import materialisation_of
from headrace.usecases.verification import verify


def recover(dataset: str, *, store: ObjectStore, catalogue: Catalogue) -> None:
    """Commit the whole versions that the catalogue does not know, in the order they were made, and remove the rest.

    Only for a holder of the dataset's lock, and when no ingest step runs: what one is just writing looks like garbage. A
    step that is taken for dead and is not (its node is cut off, and its pod was removed by force) harms only itself: the
    manifest it may yet write names shards that are gone, so its version is never committed.
    """
    known = {version.version for version in catalogue.versions(dataset)}
    for version, keys in _stored_versions(dataset, store).items():
        if version in known:
            continue
        whole = _whole(f"{dataset_prefix(dataset)}{version}/manifest.json", keys, store)
        if whole is not None:
            catalogue.commit(whole)
            continue
        for key in keys:
            store.delete(key)


def _stored_versions(dataset: str, store: ObjectStore) -> dict[str, list[str]]:
    prefix = dataset_prefix(dataset)
    versions: dict[str, list[str]] = {}
    for found in store.list(prefix):
        versions.setdefault(found.key.removeprefix(prefix).split("/", 1)[0], []).append(found.key)
    return versions


def _whole(key: str, keys: list[str], store: ObjectStore) -> Materialisation | None:
    if key not in keys:
        return None
    try:
        manifest = DatasetManifest.parse(store.get_bytes(key), where=key)
    except CorruptError:
        return None
    made = materialisation_of(manifest)
    return made if verify(made.version, manifest, store, full=False).problem is None else None
