"""Golden files: rendered documents, kept whole and reviewed in the diff; `make golden` renews them."""

from __future__ import annotations

import os
from pathlib import Path


def assert_golden(path: Path, text: str) -> None:
    """Compare with the file, or write it when REGENERATE_GOLDEN is set."""
    if os.environ.get("REGENERATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert path.exists(), f"{path} does not exist: run make golden and look at what it writes"
    assert text == path.read_text(), f"{path.name} differs: if the change is meant, run make golden"
