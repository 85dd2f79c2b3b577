"""The IDX source: raw files found, brought here, and read as parts of labelled images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from headrace.adapters.idx.decode import check_digest, content_sha256, read_rows, read_shape
from headrace.adapters.idx.locate import download, download_url, local_files
from headrace.adapters.idx.mirror import SourceMirror
from headrace.errors import SourceError
from headrace.ports.source import Batch, Labels, RawData
from headrace.specs.dataset import IdxPair, IdxSource, SourceFile, SourceStamp

BATCH_ROWS = 2500


class IdxFiles:
    """Implements `ports.source.Source`.

    Args:
        mirror: where files may be kept that are not on this machine; nowhere unless it is given.
    """

    def __init__(self, mirror: SourceMirror | None = None) -> None:
        self._mirror = mirror

    def stamps(self, spec: IdxSource, base: Path, known: Sequence[SourceStamp]) -> Sequence[SourceStamp | None]:
        """See the port."""
        digests = {(stamp.name, stamp.stamp): stamp.sha256 for stamp in known}
        found = local_files(spec, base)
        return [_stamp(file, found[file.name], digests) if file.name in found else None for file in spec.files]

    @contextmanager
    def open(self, spec: IdxSource, base: Path) -> Iterator[RawData]:
        """See the port."""
        with self._brought(spec, base) as brought:
            # Stamped before they are read: a file that changes meanwhile then differs from its stamp at the next check.
            stamps = tuple(each.stamp for each in brought.values())
            paths = {name: each.path for name, each in brought.items()}
            train, test = _part(spec.train, paths), _part(spec.test, paths)
            if train.example_shape != test.example_shape:
                raise SourceError(
                    f"training images have the shape {train.example_shape}, test images {test.example_shape}",
                    where=str(train.images_path.parent),
                    remedy="Use images of one shape.",
                )
            yield RawData(train, test, stamps)

    @contextmanager
    def files(self, spec: IdxSource, base: Path) -> Iterator[Mapping[str, Path]]:
        """See the port."""
        with self._brought(spec, base) as brought:
            for file in spec.files:
                check_digest(brought[file.name].path, file, content_sha256(brought[file.name].path))
            yield {name: each.path for name, each in brought.items()}

    @contextmanager
    def _brought(self, spec: IdxSource, base: Path) -> Iterator[dict[str, _Brought]]:
        """All files by name, in the spec's order."""
        local = local_files(spec, base)
        absent = [file for file in spec.files if file.name not in local]
        mirrored = self._mirror.fetch(absent) if self._mirror and absent else {}
        with TemporaryDirectory(prefix="headrace-source-") as scratch:

            def bring(file: SourceFile) -> _Brought:
                if path := local.get(file.name):
                    return _Brought(path, _declared_stamp(file, _stamp_text(path)))
                if self._mirror and (path := mirrored.get(file.name)):
                    return _Brought(path, _declared_stamp(file, self._mirror.location(file)))
                return _Brought(download(spec, file, Path(scratch)), _declared_stamp(file, download_url(spec, file)))

            yield {file.name: bring(file) for file in spec.files}


class _Brought(NamedTuple):
    """A file on this machine, and what it was when it was brought."""

    path: Path
    stamp: SourceStamp


@dataclass(frozen=True)
class IdxPart:
    """Implements `ports.source.RawPart`."""

    declared: IdxPair
    images_path: Path
    labels_path: Path
    example_shape: tuple[int, ...]

    def labels(self) -> Iterator[Labels]:
        """See the port."""
        return read_rows(self.labels_path, self.declared.labels, BATCH_ROWS)

    def examples(self) -> Iterator[Batch]:
        """See the port."""
        images = read_rows(self.images_path, self.declared.images, BATCH_ROWS)
        for pair in zip(images, self.labels(), strict=True):
            yield Batch(*pair)


def _part(pair: IdxPair, paths: dict[str, Path]) -> IdxPart:
    images, labels = paths[pair.images.name], paths[pair.labels.name]
    images_shape, labels_shape = read_shape(images), read_shape(labels)
    if len(labels_shape) != 1 or labels_shape[0] != images_shape[0]:
        raise SourceError(
            f"{pair.images.name} has {images_shape[0]} rows, but {pair.labels.name} has the shape {labels_shape}",
            where=str(labels.parent),
            remedy="Use images and labels of the same examples.",
        )
    return IdxPart(pair, images, labels, example_shape=images_shape[1:])


def _stamp(file: SourceFile, path: Path, digests: dict[tuple[str, str], str]) -> SourceStamp:
    text = _stamp_text(path)
    return SourceStamp(name=file.name, sha256=digests.get((file.name, text)) or content_sha256(path), stamp=text)


def _declared_stamp(file: SourceFile, text: str) -> SourceStamp:
    """With the declared digest: reading the file proves it, or fails."""
    return SourceStamp(name=file.name, sha256=file.sha256, stamp=text)


def _stamp_text(path: Path) -> str:
    status = path.stat()
    return f"{path}|{status.st_size}|{status.st_mtime_ns}"
