"""Reading the fields of a document that may hold anything: each read gives the type asked for, or refuses in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.serving.engine.errors import DocumentError

Fields = Mapping[str, Any]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def mapping(parent: Any, key: str, where: str) -> Fields:
    """The mapping under `key`; empty when it is absent."""
    value = _get(parent, key, where)
    if value is not None and not isinstance(value, Mapping):
        raise DocumentError(f"`{key}` is no mapping", where=where)
    return value or {}


def mappings(parent: Any, key: str, where: str) -> list[Fields]:
    """The mappings listed under `key`; none when it is absent."""
    value = _get(parent, key, where)
    if value is not None and not (isinstance(value, list) and all(isinstance(item, Mapping) for item in value)):
        raise DocumentError(f"`{key}` is no list of mappings", where=where)
    return value or []


def text(parent: Any, key: str, where: str, default: str | None = None) -> str:
    """The text under `key`; it may only be absent where there is a default."""
    value = _get(parent, key, where)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise DocumentError(f"`{key}` is missing or no text", where=where)
    return value


def texts(parent: Any, key: str, where: str) -> list[str]:
    """The texts listed under `key`; none when it is absent."""
    value = _get(parent, key, where)
    if value is not None and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        raise DocumentError(f"`{key}` is no list of texts", where=where)
    return list(value or [])


def count(parent: Any, key: str, where: str, *, default: int, most: int) -> int:
    """The whole number, 1 … `most`, under `key`."""
    value = _get(parent, key, where)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise DocumentError(f"`{key}` is {value!r}", where=where, remedy=f"Give a whole number from 1 to {most}.")
    return value


def label(value: str, where: str) -> str:
    """A name that Kubernetes takes for a resource (RFC 1123), and that is safe as a file's name for the same reason."""
    if not _LABEL.fullmatch(value):
        raise DocumentError(
            f"`{value}` cannot be a name", where=where, remedy="Use small letters, digits and inner hyphens, at most 63."
        )
    return value


def refuse(parent: Fields, keys: Iterable[str], where: str, *, because: str) -> None:
    """Refuse what is set under any of `keys`: to ignore it would answer differently from what the document says."""
    for key in keys:
        if parent.get(key):
            raise DocumentError(f"`{key}` is not supported: {because}", where=where, remedy="Leave it out.")


def _get(parent: Any, key: str, where: str) -> Any:
    if not isinstance(parent, Mapping):
        raise DocumentError("not a mapping", where=where)
    return parent.get(key)
