"""What must survive the engine: the documents, each in a file that is replaced in one rename."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.serving.engine.document import Deployment, parse
from headrace.serving.engine.errors import DocumentError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """A graph's documents: the desired one, and the one that was live last (None when none ever was)."""

    desired: Deployment
    live: Deployment | None


class DocumentStore:
    """Documents by namespace and name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, kept: Kept) -> None:
        """Replace what is kept; after a crash there is the old or the new, never a part."""
        path = self._path(*kept.desired.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        content = {"desired": kept.desired.source, "live": kept.live.source if kept.live else None}
        with temporary.open("w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def delete(self, namespace: str, name: str) -> None:
        """Forget a document."""
        self._path(namespace, name).unlink(missing_ok=True)

    def load(self) -> Iterator[Kept]:
        """Everything kept. A file that cannot be read any more stays where it is and is complained of; the others load."""
        for path in sorted(self._folder.glob("*/*.json")):
            try:
                yield _read(path)
            except (ValueError, KeyError, TypeError, DocumentError):
                log.exception("%s cannot be restored; apply its document anew, or remove the file", path)

    def _path(self, namespace: str, name: str) -> Path:
        return self._folder / namespace / f"{name}.json"


def _read(path: Path) -> Kept:
    content: Mapping[str, Any] = json.loads(path.read_text())

    def deployment(document: Any) -> Deployment:
        return parse(document, namespace=path.parent.name, name=path.stem)

    live = content["live"]
    return Kept(desired=deployment(content["desired"]), live=deployment(live) if live else None)
