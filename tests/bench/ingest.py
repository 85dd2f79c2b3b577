"""Ingestion: how fast, in how much memory whatever the size of the data, and how much work a fresh version saves.

Measured on the real Fashion-MNIST files, with a real PostgreSQL and a directory store. "10×" are the same images ten times over.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.rows import Row, row
from headrace.adapters.arrow_shards import ArrowShards
from headrace.adapters.directory_store import DirectoryStore
from headrace.adapters.idx.locate import download, local_files
from headrace.adapters.idx.source import IdxFiles
from headrace.adapters.postgres.catalogue import PostgresCatalogue
from headrace.adapters.postgres.migrations import upgrade
from headrace.bootstrap import utc_now
from headrace.ports.catalogue import Catalogue
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import DatasetSpec
from headrace.specs.pipeline import load_pipeline
from headrace.usecases.freshness import check_freshness
from headrace.usecases.ingest import Ingestor
from headrace.usecases.materialisation import materialisation_of
from headrace.usecases.verification import load_manifest
from postgres_server import postgres_server

PIPELINE = Path(__file__).parents[2] / "dags" / "fashion_mnist.yaml"
TIMES = 10
REPEATS = 5
_MB = 1e6
_HEADER_BYTES = {"images": 16, "labels": 8}


@dataclass(frozen=True)
class Measured:
    """One ingestion in a process of its own.

    Attributes:
        seconds: of the ingestion alone, without starting Python.
        peak_mb: resident memory of the process at its highest, 10^6 bytes, interpreter and libraries included.
    """

    seconds: float
    peak_mb: float


def rows() -> list[Row]:
    """Measure everything."""
    spec, base = real_dataset()
    megabytes, floor = _read_alone(spec, base)
    with postgres_server() as url, TemporaryDirectory(prefix="headrace-bench-") as temporary:
        upgrade(url)
        folder = Path(temporary)
        store, catalogue = DirectoryStore(folder / "store"), PostgresCatalogue(url)
        one = measure_process(folder / "store", spec, base)
        ten = measure_process(folder / "store", repeat_dataset(spec, base, folder / "raw"), folder)
        cold = _median_seconds(lambda: _materialise(store, catalogue, spec, base))
        cached = _median_seconds(lambda: _check(store, catalogue, spec, base))
        full = _median_seconds(lambda: _check(store, catalogue, spec, base, full=True))
    return [
        *_speed_rows(megabytes, one, ten, cold=cold, floor=floor),
        *_memory_rows(one, ten),
        *_memo_rows(cold=cold, cached=cached, full=full),
    ]


def real_dataset() -> tuple[DatasetSpec, Path]:
    """The Fashion-MNIST pipeline's dataset, and the folder its paths are relative to."""
    spec = load_pipeline(PIPELINE)
    return spec.dataset, spec.folder


def repeat_dataset(spec: DatasetSpec, base: Path, raw: Path, *, times: int = TIMES) -> DatasetSpec:
    """Write the same examples several times over into a new folder `raw`, and return the spec that declares them.

    A gzip file may consist of several members, so the rows are compressed once and their member is written several times.
    """
    originals = raw / "originals"
    originals.mkdir(parents=True)
    local = local_files(spec.source, base)
    paths = {file.name: local.get(file.name) or download(spec.source, file, originals) for file in spec.source.files}
    source = spec.source.model_dump(mode="json") | {"path": str(raw), "debian_package": None}
    for part in ("train", "test"):
        for kind in ("images", "labels"):
            name = source[part][kind]["name"]
            source[part][kind]["sha256"] = _repeat_file(paths[name], raw / name, _HEADER_BYTES[kind], times)
    changes = {"name": f"{spec.name}-{times}x", "source": source, "validation_rows": spec.validation_rows * times}
    return DatasetSpec.model_validate(spec.model_dump(mode="json") | changes)


def measure_process(store: Path, spec: DatasetSpec, base: Path) -> Measured:
    """Ingest in a new process."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.ingest", str(store), spec.model_dump_json(), str(base)],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    return Measured(**json.loads(done.stdout))


def main() -> None:
    """The new process of `measure_process`."""
    store, spec, base = sys.argv[1:]
    ingestor = _ingestor(DirectoryStore(Path(store)))
    with _timed() as seconds:
        ingestor.ingest(DatasetSpec.model_validate_json(spec), Path(base))
    sys.stdout.write(json.dumps({"seconds": seconds[0], "peak_mb": _peak_bytes() / _MB}))


def _speed_rows(megabytes: float, one: Measured, ten: Measured, *, cold: float, floor: float) -> list[Row]:
    against = "decompressing and hashing the source files alone"
    return [
        row("ingest.mb_s", megabytes / cold, "MB/s of raw data", better="higher", against=against, ratio=floor / cold),
        row("ingest.cold_s", one.seconds, "s, first ingestion of a process", better="lower"),
        row("ingest.10x_s", ten.seconds, "s", better="lower", against="1×", ratio=ten.seconds / one.seconds),
    ]


def _memory_rows(one: Measured, ten: Measured) -> list[Row]:
    ratio = ten.peak_mb / one.peak_mb
    return [
        row("ingest.peak_rss_mb", one.peak_mb, "MB", better="lower"),
        row("ingest.peak_rss_10x_mb", ten.peak_mb, "MB", better="lower"),
        row("ingest.peak_rss_10x_ratio", ratio, "×", better="lower", against="peak RSS at 1×", ratio=ratio),
    ]


def _memo_rows(*, cold: float, cached: float, full: float) -> list[Row]:
    speedup = cold / cached
    return [
        row("memo.cold_ms", cold * 1000, "ms", better="lower"),
        row("memo.cached_ms", cached * 1000, "ms", better="lower", against="ingesting", ratio=cached / cold),
        row("memo.full_check_ms", full * 1000, "ms", better="lower", against="ingesting", ratio=full / cold),
        row("memo.work_speedup", speedup, "×", better="higher", against="ingesting", ratio=speedup),
    ]


def _ingestor(store: ObjectStore) -> Ingestor:
    return Ingestor(source=IdxFiles(), shards=ArrowShards(), store=store, clock=utc_now)


def _materialise(store: ObjectStore, catalogue: Catalogue, spec: DatasetSpec, base: Path) -> None:
    version = _ingestor(store).ingest(spec, base)
    catalogue.commit(materialisation_of(load_manifest(version, store)))


def _check(store: ObjectStore, catalogue: Catalogue, spec: DatasetSpec, base: Path, *, full: bool = False) -> None:
    found = check_freshness(spec, base, source=IdxFiles(), store=store, catalogue=catalogue, clock=utc_now, full=full)
    assert found.fresh, found.reason


def _median_seconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        with _timed() as seconds:
            work()
        times += seconds
    return median(times)


@contextmanager
def _timed() -> Iterator[list[float]]:
    seconds: list[float] = []
    started = time.perf_counter()
    yield seconds
    seconds.append(time.perf_counter() - started)


def _peak_bytes() -> int:
    """This process's own high-water mark; `getrusage` would count what the parent held when it forked."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:", 1)[1].split(maxsplit=1)[0]) * 1024


def _read_alone(spec: DatasetSpec, base: Path) -> tuple[float, float]:
    """The size of the raw data, MB, and the seconds it takes to decompress and hash them and do nothing else."""
    with IdxFiles().open(spec.source, base) as raw:

        def read() -> int:
            return sum(batch.images.nbytes + batch.labels.nbytes for part in raw[:2] for batch in part.examples())

        return read() / _MB, _median_seconds(read)


def _repeat_file(origin: Path, copy: Path, header_bytes: int, times: int) -> str:
    content = zlib.decompress(origin.read_bytes(), zlib.MAX_WBITS | 16)
    header, body = bytearray(content[:header_bytes]), content[header_bytes:]
    header[4:8] = (int.from_bytes(header[4:8], "big") * times).to_bytes(4, "big")
    digest = sha256(header)
    member = _gzip_member(body)
    with copy.open("wb") as file:
        file.write(_gzip_member(bytes(header)))
        for _ in range(times):
            file.write(member)
            digest.update(body)
    return digest.hexdigest()


def _gzip_member(content: bytes) -> bytes:
    compressor = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS | 16)
    return compressor.compress(content) + compressor.flush()


if __name__ == "__main__":
    main()
