"""Reading gzip-compressed IDX files (http://yann.lecun.com/exdb/mnist/) by streaming, their SHA-256 checked on the way.

An IDX file is a magic number (two zero bytes, a type code, the number of dimensions), the dimensions as big-endian uint32, and
the values in C order.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headrace.errors import SourceError
from headrace.specs.dataset import SourceFile

_UINT8_MAGIC = b"\0\0\x08"
_CHUNK_BYTES = 1 << 20


def read_shape(path: Path) -> tuple[int, ...]:
    """The dimensions of an IDX file, rows first, from its header alone.

    Raises:
        SourceError: it cannot be read, or is not an IDX file of unsigned bytes.
    """
    with _opened(path) as file:
        return _read_header(file, path)[1]


def read_rows(path: Path, declared: SourceFile, batch_rows: int) -> Iterator[NDArray[np.uint8]]:
    """All rows, as read-only arrays `uint8[n, *row_shape]` of at most `batch_rows` rows. Memory: one batch.

    Raises:
        SourceError: as for `read_shape`; or the file ends too early or too late, or its SHA-256 is not the declared one, which
            is known only at the end: what was read may be used only when the iterator is exhausted.
    """
    with _opened(path) as file:
        header, (rows, *row_shape) = _read_header(file, path)
        digest = hashlib.sha256(header)
        row_bytes = math.prod(row_shape)
        for start in range(0, rows, batch_rows):
            wanted = min(batch_rows, rows - start) * row_bytes
            content = file.read(wanted)
            if len(content) < wanted:
                raise _broken(path, f"it ends within row {start + len(content) // row_bytes} of {rows}")
            digest.update(content)
            yield np.frombuffer(content, np.uint8).reshape(-1, *row_shape)
        if file.read(1):  # also makes gzip compare its own checksum
            raise _broken(path, f"it holds more than the {rows} rows its header announces")
    check_digest(path, declared, digest.hexdigest())


def content_sha256(path: Path) -> str:
    """SHA-256 of the decompressed content.

    Raises:
        SourceError: it cannot be read or decompressed.
    """
    digest = hashlib.sha256()
    with _opened(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def check_digest(path: Path, declared: SourceFile, found: str) -> None:
    """Compare a file's SHA-256 with the declared one.

    Raises:
        SourceError: they differ.
    """
    if found != declared.sha256:
        raise SourceError(
            f"{declared.name} is not the file the spec declares: its content's SHA-256 is {found}, not {declared.sha256}",
            where=str(path),
            remedy="Restore the file, or declare the new digest in the pipeline's YAML if the change is meant.",
        )


@contextmanager
def _opened(path: Path) -> Iterator[gzip.GzipFile]:
    try:
        with gzip.open(path) as file:
            yield file
    except EOFError as error:
        raise _broken(path, "the gzip stream is cut off") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _broken(path, f"it is not a sound gzip file ({error})") from error
    except OSError as error:
        raise SourceError(
            f"a source file cannot be read: {error.strerror}", where=str(path), remedy="Check that it is there and readable."
        ) from error


def _read_header(file: gzip.GzipFile, path: Path) -> tuple[bytes, tuple[int, ...]]:
    magic = file.read(4)
    if magic[:3] != _UINT8_MAGIC or not magic[3:] or not magic[3]:
        raise _broken(
            path, f"its magic number is {magic.hex() or 'missing'}, not that of an IDX file of unsigned bytes (000008..)"
        )
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise _broken(path, "it ends within its header")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    if 0 in shape:
        raise _broken(path, f"one of its dimensions is 0: {shape}")
    return magic + sizes, shape


def _broken(path: Path, how: str) -> SourceError:
    return SourceError(f"a source file is broken: {how}", where=str(path), remedy="Replace it with a sound copy.")
