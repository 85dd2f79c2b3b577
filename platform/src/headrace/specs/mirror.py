"""Mirrored sources: raw files kept in the object store, for machines that can neither install nor download them.

Store layout of one dataset's (all keys below `sources/<dataset>/`):

    <file name>                  a raw file, compressed as it was found
    manifest.json                written last; without it nothing is mirrored
"""

from __future__ import annotations

from pydantic import Field, ValidationError

from headrace.errors import CorruptError
from headrace.specs.base import Spec
from headrace.specs.dataset import Name, Sha256, SourceFile


class MirroredFile(Spec):
    """A raw file as it is stored."""

    name: str
    sha256: Sha256
    """Of its decompressed content, as in `SourceFile`."""
    size: int = Field(ge=0)
    """Bytes as stored."""
    etag: str
    """The store's own tag at writing."""


class MirrorManifest(Spec):
    """Which raw files of a dataset are mirrored."""

    dataset: Name
    files: tuple[MirroredFile, ...]

    def holds(self, file: SourceFile) -> bool:
        """Whether a file is mirrored with the content its spec declares."""
        return any((each.name, each.sha256) == (file.name, file.sha256) for each in self.files)

    @classmethod
    def parse(cls, content: bytes, *, where: str) -> MirrorManifest:
        """Read a stored manifest.

        Raises:
            CorruptError: it is none; names `where`.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise CorruptError(
                f"the mirror's manifest cannot be read: {error.errors()[0]['msg']}",
                where=where,
                remedy="Mirror the files again with `headrace mirror`.",
            ) from error


def mirror_prefix(dataset: str) -> str:
    """Key prefix of a dataset's mirrored files, ending in `/`."""
    return f"sources/{dataset}/"


def mirror_manifest_key(dataset: str) -> str:
    """Where the manifest of a dataset's mirrored files is stored."""
    return f"{mirror_prefix(dataset)}manifest.json"
