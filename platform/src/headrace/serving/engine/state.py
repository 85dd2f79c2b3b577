"""What must survive the engine: the documents, each in a file that is replaced in one rename."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Document = Mapping[str, Any]


class DocumentStore:
    """Documents by namespace and name: the desired one, and the one that was live last (None when never)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, namespace: str, name: str, *, desired: Document, live: Document | None) -> None:
        """Replace what is kept; after a crash there is the old or the new, never a part."""
        path = self._path(namespace, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        with temporary.open("w") as file:
            json.dump({"desired": desired, "live": live}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def delete(self, namespace: str, name: str) -> None:
        """Forget a document."""
        self._path(namespace, name).unlink(missing_ok=True)

    def load(self) -> Iterator[tuple[str, str, Document, Document | None]]:
        """Namespace, name, desired and live document of everything kept."""
        for path in sorted(self._folder.glob("*/*.json")):
            content = json.loads(path.read_text())
            yield path.parent.name, path.stem, content["desired"], content["live"]

    def _path(self, namespace: str, name: str) -> Path:
        return self._folder / namespace / f"{name}.json"
