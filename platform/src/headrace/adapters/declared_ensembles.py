"""The ensembles that the pipelines of a folder declare, for processes that outlive an edit of one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.specs.pipeline import load_pipeline
from headrace.specs.serving import EnsembleSpec

log = logging.getLogger(__name__)


class DeclaredEnsembles:
    """Reads a pipeline's file when it is new or has changed; asking again costs a look at each file's time.

    A file that is no pipeline's declares nothing, so that a slip in one pipeline leaves the others served; it is logged once,
    and Airflow shows it as its DAG's import error.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[int, EnsembleSpec | None]] = {}

    def by_name(self) -> Mapping[str, EnsembleSpec]:
        """Every ensemble as it is declared now; of one that several pipelines declare, the last file's by name."""
        stamps = {path: path.stat().st_mtime_ns for path in sorted(self._folder.glob("*.yaml"))}
        self._read = {path: self._current(path, stamp) for path, stamp in stamps.items()}
        return {ensemble.name: ensemble for _, ensemble in self._read.values() if ensemble}

    def _current(self, path: Path, stamp: int) -> tuple[int, EnsembleSpec | None]:
        known = self._read.get(path)
        if known and known[0] == stamp:
            return known
        try:
            return stamp, load_pipeline(path).ensemble
        except HeadraceError as error:
            log.warning("no ensemble is known of %s: %s", path.name, error)
            return stamp, None
