"""Where the raw files are: on this machine in the folder the spec names or in a Debian package, or at a public address."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import httpx

from headrace.errors import SourceError
from headrace.specs.dataset import IdxSource, SourceFile

_TIMEOUT_SECONDS = 30.0
_CHUNK_BYTES = 1 << 20
_MIRROR = "or run `headrace mirror` on a machine that has them"


def local_files(source: IdxSource, base: Path) -> dict[str, Path]:
    """Those of the source's files that are on this machine, by name.

    In the folder `path` if the spec has one, otherwise in the Debian package, if it is installed.
    """
    if source.path is not None:
        candidates: Iterable[Path] = [base / source.path / file.name for file in source.files]
    elif source.debian_package:
        candidates = _files_of_package(source.debian_package)
    else:
        candidates = []
    names = {file.name for file in source.files}
    return {path.name: path for path in candidates if path.name in names and path.is_file()}


def download(source: IdxSource, file: SourceFile, folder: Path) -> Path:
    """Stream a file from the source's public address into a folder. Its digest is not checked here.

    Raises:
        SourceError: the spec names no address, or it does not give the file.
    """
    if source.path is not None or source.download is None:
        raise _nowhere(source, file)
    url = download_url(source, file)
    path = folder / file.name
    try:
        with httpx.stream("GET", url, timeout=_TIMEOUT_SECONDS, follow_redirects=True) as response, path.open("wb") as copy:
            response.raise_for_status()
            # Raw: a server that declares the gzip as a transfer encoding must not make it be decompressed here.
            for chunk in response.iter_raw(_CHUNK_BYTES):
                copy.write(chunk)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceError(f"the download of {file.name} failed: {error}", where=url, remedy=_remedy(source)) from error
    return path


def download_url(source: IdxSource, file: SourceFile) -> str:
    """The public address of a file of a source that has one."""
    return f"{(source.download or '').rstrip('/')}/{file.name}"


def _files_of_package(package: str) -> list[Path]:
    try:
        listing = subprocess.run(["dpkg-query", "--listfiles", package], capture_output=True, text=True, check=False)
    except FileNotFoundError:  # not a Debian machine
        return []
    return [Path(line) for line in listing.stdout.splitlines()]


def _nowhere(source: IdxSource, file: SourceFile) -> SourceError:
    if source.path is not None:
        return SourceError(
            f"source file {file.name} does not exist",
            where=str(source.path),
            remedy=f"Put it there, or remove `source.path` from the pipeline's YAML to look elsewhere, {_MIRROR}.",
        )
    return SourceError(f"source file {file.name} was found nowhere", where="dataset.source", remedy=_remedy(source))


def _remedy(source: IdxSource) -> str:
    if source.debian_package:
        return f"Run `apt-get install {source.debian_package}`, set `source.path` to a folder that holds the files, {_MIRROR}."
    return f"Set `source.path` to a folder that holds the files, {_MIRROR}."
