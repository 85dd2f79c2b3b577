"""`python -m headrace.serving.fetch`: bring a published model from the store to where its node reads it, and verify it.

It runs before the node, as an init container. It reads HEADRACE_MODEL_URI (`s3://bucket/prefix/`), HEADRACE_MODEL_DIGEST (see
`digest_of`), HEADRACE_MODEL_FOLDER, and HEADRACE_MINIO__{ENDPOINT,REGION,ACCESS_KEY,SECRET_KEY,SECURE}. A folder that holds the
right model already is left alone. It ends with code 0 when the folder holds the model, with 2 when a variable is malformed, and
with 1 when the model cannot be had; one line then says what, where and the remedy.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError

MODEL_FILES = ("golden.npz", "model.json", "model.onnx")
"""What is published of a model, in the order of its digest."""

_CHUNK_BYTES = 1 << 20
_TIMEOUT = urllib3.Timeout(connect=5, read=15)
_KEEP_TRYING_SECONDS = 60.0
"""How long a store may be away: the time that its own restart takes, and then some."""
_FIRST_PAUSE_SECONDS, _LAST_PAUSE_SECONDS = 0.25, 5.0
_TROUBLES = (urllib3.exceptions.HTTPError, InvalidResponseError, ServerError, S3Error, ConnectionError, ValueError)
_REMEDIES = {
    "NoSuchKey": "Publish the version again: run its pipeline's promote step.",
    "NoSuchBucket": "Check HEADRACE_MODEL_URI, and that the bucket was made.",
}


class FetchError(Exception):
    """The model cannot be had: what, where, and the remedy."""

    exit_code = 1

    def __init__(self, what: str, *, where: str, remedy: str) -> None:
        super().__init__(f"{what} (at {where}). {remedy}")


class VariableError(FetchError):
    """A variable of the environment is missing or malformed; nothing was done."""

    exit_code = 2


@dataclass(frozen=True)
class Store:
    """An S3 store, and the keys to read it with; without keys it is read as anybody."""

    endpoint: str
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    secure: bool = False
    region: str | None = None
    """Of the bucket; without it the store is asked, which takes a right of its own."""


@dataclass(frozen=True)
class Wanted:
    """A model: where its files are, what they add up to, and the folder it is wanted in."""

    bucket: str
    prefix: str
    digest: str
    folder: Path


def digest_of(folder: Path) -> str:
    """SHA-256 over a line `NAME SHA-256-OF-THE-FILE` for each of a model's files, as publishing writes it down.

    Raises:
        FileNotFoundError: a file is missing.
    """
    lines = hashlib.sha256()
    for name in MODEL_FILES:
        with (folder / name).open("rb") as file:
            lines.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return lines.hexdigest()


def read_environment(variables: Mapping[str, str]) -> tuple[Wanted, Store]:
    """What the variables ask for.

    Raises:
        VariableError: one is missing or malformed.
    """
    uri = urlsplit(_variable(variables, "HEADRACE_MODEL_URI"))
    if uri.scheme != "s3" or not uri.netloc or not uri.path.strip("/"):
        raise VariableError("it is no s3://bucket/prefix/", where="HEADRACE_MODEL_URI", remedy="Correct it.")
    secure = variables.get("HEADRACE_MINIO__SECURE", "false").lower()
    if secure not in ("true", "false"):
        raise VariableError(f"`{secure}` is neither true nor false", where="HEADRACE_MINIO__SECURE", remedy="Correct it.")
    wanted = Wanted(
        bucket=uri.netloc,
        prefix=uri.path.strip("/") + "/",
        digest=_variable(variables, "HEADRACE_MODEL_DIGEST"),
        folder=Path(_variable(variables, "HEADRACE_MODEL_FOLDER")),
    )
    return wanted, Store(
        endpoint=_variable(variables, "HEADRACE_MINIO__ENDPOINT"),
        access_key=variables.get("HEADRACE_MINIO__ACCESS_KEY", ""),
        secret_key=variables.get("HEADRACE_MINIO__SECRET_KEY", ""),
        secure=secure == "true",
        region=variables.get("HEADRACE_MINIO__REGION") or None,
    )


def fetch(wanted: Wanted, store: Store) -> bool:
    """Make the folder hold the model; whether it had to be fetched. Two at once fetch it once.

    Raises:
        FetchError: the store has no such model, does not let it be read, holds another one, or stays away.
    """
    with _alone(wanted.folder):
        if _holds(wanted.folder, wanted.digest):
            return False
        incoming = wanted.folder.with_name(f".{wanted.folder.name}.incoming")
        shutil.rmtree(incoming, ignore_errors=True)  # of one that was killed
        incoming.mkdir()
        try:
            _download(wanted, store, incoming)
            shutil.rmtree(wanted.folder, ignore_errors=True)
            incoming.rename(wanted.folder)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return True


def _variable(variables: Mapping[str, str], name: str) -> str:
    if not (value := variables.get(name)):
        raise VariableError("the variable is not set", where=name, remedy="Set it on the init container.")
    return value


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the only one at work on a folder; the kernel lets go of it for whoever dies."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f".{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise FetchError(
            f"the model cannot be kept: {error}", where=str(folder), remedy="Mount a writable volume there, with room for it."
        ) from error


def _holds(folder: Path, digest: str) -> bool:
    try:
        return digest_of(folder) == digest
    except FileNotFoundError:
        return False


def _download(wanted: Wanted, store: Store, folder: Path) -> None:
    where = f"{store.endpoint}/{wanted.bucket}/{wanted.prefix}"
    client = _client(store)
    for name in MODEL_FILES:
        _persist(client, wanted, name, folder / name, where + name)
    if (found := digest_of(folder)) != wanted.digest:
        raise FetchError(
            f"the files are not those that were published: their digest is {found}, not {wanted.digest}",
            where=where,
            remedy="Something wrote to the store since: publish the version again.",
        )


def _client(store: Store) -> Minio:
    try:
        return Minio(
            store.endpoint,
            access_key=store.access_key or None,
            secret_key=store.secret_key or None,
            secure=store.secure,
            region=store.region,
            http_client=urllib3.PoolManager(timeout=_TIMEOUT, retries=False),
        )
    except ValueError as error:
        raise VariableError(f"it is no address: {error}", where="HEADRACE_MINIO__ENDPOINT", remedy="Give host:port.") from error


def _persist(client: Minio, wanted: Wanted, name: str, path: Path, where: str) -> None:
    """Download a file, again and again while the store does not answer or breaks off."""
    pause, deadline = _FIRST_PAUSE_SECONDS, time.monotonic() + _KEEP_TRYING_SECONDS
    while True:
        try:
            return _copy(client, wanted.bucket, wanted.prefix + name, path)
        except _TROUBLES as error:
            _raise_if_lasting(error, where)
            if time.monotonic() + pause > deadline:
                raise FetchError(
                    f"the store did not give it in {_KEEP_TRYING_SECONDS:.0f} s: {error}",
                    where=where,
                    remedy="Check HEADRACE_MINIO__ENDPOINT, that the store runs, and that it can be reached from here.",
                ) from error
        time.sleep(pause)
        pause = min(2 * pause, _LAST_PAUSE_SECONDS)


def _raise_if_lasting(error: Exception, where: str) -> None:
    """Give up on what trying again does not change."""
    if isinstance(error, S3Error) and error.response.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        remedy = _REMEDIES.get(error.code or "", "Check the keys and what they may read.")
        raise FetchError(f"the store refused: {error.code}: {error.message}", where=where, remedy=remedy) from error
    if isinstance(error, ValueError):
        raise VariableError(f"it names no place in a store: {error}", where="HEADRACE_MODEL_URI", remedy="Correct it.") from error


def _copy(client: Minio, bucket: str, key: str, path: Path) -> None:
    """Download a file whole.

    Raises:
        ConnectionError: the connection broke off before its end, which the client takes for the file's.
    """
    reply = client.get_object(bucket, key)
    try:
        with path.open("wb") as file:
            for chunk in reply.stream(_CHUNK_BYTES):
                file.write(chunk)
        announced = int(reply.headers["Content-Length"])
        if path.stat().st_size != announced:
            raise ConnectionError(f"{path.stat().st_size} of {announced} bytes came")
    finally:
        reply.close()


def main() -> int:
    """Fetch what the environment asks for."""
    try:
        wanted, store = read_environment(os.environ)
        fetched = fetch(wanted, store)
    except FetchError as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return error.exit_code
    sys.stdout.write(f"{wanted.folder}: {'fetched' if fetched else 'already there'}, digest {wanted.digest}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
