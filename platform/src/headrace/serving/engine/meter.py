"""Counting what becomes of requests while two graphs run side by side: a few numbers for each of them, and no more."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import orjson


@dataclass
class Count:
    """Of one branch, since the generation began."""

    requests: int = 0
    errors: int = 0
    """Requests that were not answered with success, whatever the reason."""
    seconds: float = 0.0
    """That the answers took together; those of failed requests are left out, which may be quick for being no answers."""


class Meter:
    """Counts by branch: the children of a router, or a graph and its shadow. There are as many as the document names."""

    def __init__(self) -> None:
        self._counts: dict[str, Count] = {}
        self._compared = self._agreed = 0

    @contextmanager
    def measured(self, branch: str) -> Iterator[None]:
        """Count what is done inside as one request. One whose caller has gone is not counted."""
        count, began = self._counts.setdefault(branch, Count()), time.perf_counter()
        try:
            yield
        except Exception:
            count.requests, count.errors = count.requests + 1, count.errors + 1
            raise
        count.requests, count.seconds = count.requests + 1, count.seconds + time.perf_counter() - began

    def compare(self, answers: Sequence[str], others: Sequence[str]) -> None:
        """Count the examples of one request that both answered, and those with the same class."""
        if len(answers) == len(others):
            self._compared += len(answers)
            self._agreed += sum(one == other for one, other in zip(answers, others, strict=True))

    def figures(self) -> dict[str, Any]:
        """All counts, as JSON-like data."""
        branches = {name: asdict(count) for name, count in self._counts.items()}
        return {"branches": branches, "compared": self._compared, "agreed": self._agreed}


def classes_of(message: bytes) -> Sequence[str]:
    """The class that a graph says each example has (`meta.tags.classes`); none of a graph whose root says none."""
    content: Any = orjson.loads(message)
    meta = content.get("meta") if isinstance(content, Mapping) else None
    tags = meta.get("tags") if isinstance(meta, Mapping) else None
    classes = tags.get("classes") if isinstance(tags, Mapping) else None
    return classes if isinstance(classes, list) else []
