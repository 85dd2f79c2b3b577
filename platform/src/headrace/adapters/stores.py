"""Which object store an installation uses."""

from __future__ import annotations

from headrace.config import Settings, StoreKind
from headrace.ports.store import ObjectStore


def open_store(settings: Settings) -> ObjectStore:
    """The store the settings name.

    Raises:
        UnavailableError: it does not answer, or may not be written to.
    """
    if settings.store is StoreKind.MINIO:
        from headrace.adapters.minio_store import MinioStore

        return MinioStore(settings.minio, cache=settings.home / "cache")
    from headrace.adapters.directory_store import DirectoryStore

    return DirectoryStore(settings.store_folder)
