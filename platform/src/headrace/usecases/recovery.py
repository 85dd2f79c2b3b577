"""What a crashed ingestion left behind: a version whose manifest is stored is whole, anything else is garbage."""

from __future__ import annotations

from headrace.errors import CorruptError
from headrace.ports.catalogue import Catalogue
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import DatasetManifest, dataset_prefix
from headrace.usecases.materialisation import materialisation_of


def recover(dataset: str, *, store: ObjectStore, catalogue: Catalogue) -> None:
    """Commit the whole versions that the catalogue does not know, in the order they were made, and remove the rest.

    Only for a holder of the dataset's lock: what another is just writing looks like garbage.
    """
    known = {version.version for version in catalogue.versions(dataset)}
    for version, keys in _stored_versions(dataset, store).items():
        if version in known:
            continue
        manifest = _manifest(f"{dataset_prefix(dataset)}{version}/manifest.json", keys, store)
        if manifest is not None:
            catalogue.commit(materialisation_of(manifest))
            continue
        for key in keys:
            store.delete(key)


def _stored_versions(dataset: str, store: ObjectStore) -> dict[str, list[str]]:
    prefix = dataset_prefix(dataset)
    versions: dict[str, list[str]] = {}
    for found in store.list(prefix):
        versions.setdefault(found.key.removeprefix(prefix).split("/", 1)[0], []).append(found.key)
    return versions


def _manifest(key: str, keys: list[str], store: ObjectStore) -> DatasetManifest | None:
    if key not in keys:
        return None
    try:
        return DatasetManifest.parse(store.get_bytes(key), where=key)
    except CorruptError:
        return None
