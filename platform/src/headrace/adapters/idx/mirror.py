"""Raw files that `headrace mirror` has put into the object store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headrace.errors import NotFoundError, SourceError
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import SourceFile
from headrace.specs.mirror import MirrorManifest, mirror_manifest_key, mirror_prefix


class SourceMirror:
    """The mirrored files of one dataset (`specs.mirror` has the layout)."""

    def __init__(self, store: ObjectStore, dataset: str) -> None:
        self._store, self._dataset = store, dataset

    def fetch(self, files: Sequence[SourceFile]) -> dict[str, Path]:
        """Bring those that are mirrored with the declared content to this machine: by name. They may be read, never written.

        Raises:
            SourceError: the mirror lacks a file that its manifest names.
            CorruptError: its manifest cannot be read, or a file is not what was put.
        """
        key = mirror_manifest_key(self._dataset)
        try:
            manifest = MirrorManifest.parse(self._store.get_bytes(key), where=key)
        except NotFoundError:
            return {}
        return {file.name: self._fetch(file) for file in files if manifest.holds(file)}

    def location(self, file: SourceFile) -> str:
        """Where the store keeps a file, as another program addresses it."""
        return self._store.uri(self._key(file))

    def _fetch(self, file: SourceFile) -> Path:
        try:
            return self._store.fetch(self._key(file))
        except NotFoundError as error:
            raise SourceError(
                f"the mirror lacks {file.name}, which its manifest names",
                where=self.location(file),
                remedy="Mirror the files again with `headrace mirror`.",
            ) from error

    def _key(self, file: SourceFile) -> str:
        return mirror_prefix(self._dataset) + file.name
