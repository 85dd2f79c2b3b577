"""Freshness: may the cached version of a dataset be used, or must it be ingested again?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from headrace.errors import CorruptError
from headrace.ports.catalogue import Catalogue
from headrace.ports.clock import Clock
from headrace.ports.source import Source
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import DatasetSpec, Freshness, Materialisation, SourceStamp
from headrace.usecases.materialisation import what_changed
from headrace.usecases.verification import Verdict, load_manifest, verify


def check_freshness(
    spec: DatasetSpec,
    base: Path,
    *,
    source: Source,
    store: ObjectStore,
    catalogue: Catalogue,
    clock: Clock,
    force: bool = False,
    full: bool = False,
) -> Freshness:
    """Decide whether the latest version may be used.

    It may when it is younger than the spec's limit, made from the same source files with the same parameters by the same code,
    and what is stored is what was written. Costs a query, a look at the source files, one manifest and one listing; data are
    read only where a source file's stamp or a shard's tag differs from the recorded one, or when `full` is asked for.

    A source file that is not on this machine counts as unchanged: its digest is part of the spec, so what was ingested is what
    the spec asks for. The reason says so.

    Args:
        spec: the dataset.
        base: the folder a relative source path is relative to.
        source: finds the raw files.
        store: holds the versions.
        catalogue: knows them.
        clock: tells the age.
        force: answer "stale" whatever is stored.
        full: hash every shard.

    Returns:
        The answer with its reason: "cached: …" with the version, or "stale: …".
    """
    if force:
        return _stale("refresh was forced")
    latest = catalogue.latest(spec.name)
    if latest is None:
        return _stale("never ingested")
    age = clock() - latest.version.created
    if age > spec.freshness:
        return _stale(f"{in_words(age, units=2)} old, limit {in_words(spec.freshness)}")
    verdict = _examine(spec, base, latest, source=source, store=store, full=full)
    if verdict.problem:
        return _stale(verdict.problem)
    reason = f"cached: {in_words(age)} old, limit {in_words(spec.freshness)}; {verdict.evidence}"
    return Freshness(fresh=True, reason=reason, version=latest.version)


def _examine(
    spec: DatasetSpec, base: Path, latest: Materialisation, *, source: Source, store: ObjectStore, full: bool
) -> Verdict:
    """Hold a version against the spec, the source files and the store, the cheapest first."""
    try:
        manifest = load_manifest(latest.version, store)
    except CorruptError as error:
        return Verdict(problem=str(error))
    stamps = source.stamps(spec.source, base, latest.sources)
    changed = what_changed(spec, manifest) or _changed_files(latest, stamps)
    if changed:
        return Verdict(problem=changed)
    verdict = verify(latest.version, manifest, store, full=full)
    return replace(verdict, evidence="; ".join([verdict.evidence, *_absence(stamps)]))


def in_words(span: timedelta, *, units: int = 1) -> str:
    """A duration in its largest units: `3 days`, `14 days 1 hour`, `less than a minute`."""
    left = int(span.total_seconds())
    words = []
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count, left = divmod(left, length) if left > 0 else (0, 0)
        if count:
            words.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " ".join(words[:units]) or "less than a minute"


def _changed_files(latest: Materialisation, stamps: Sequence[SourceStamp | None]) -> str | None:
    known = {stamp.name: stamp.sha256 for stamp in latest.sources}
    changed = [stamp.name for stamp in stamps if stamp and stamp.sha256 != known.get(stamp.name)]
    return f"source {', '.join(changed)} changed" if changed else None


def _absence(stamps: Sequence[SourceStamp | None]) -> Iterator[str]:
    absent = sum(stamp is None for stamp in stamps)
    if absent:
        yield f"{absent} of {len(stamps)} source files are not on this machine and taken as unchanged"


def _stale(reason: str) -> Freshness:
    return Freshness(fresh=False, reason=f"stale: {reason}")
