"""One measured figure, as bench/results.json keeps it."""

from __future__ import annotations

from typing import Literal, TypedDict


class Row(TypedDict):
    """One figure.

    `against` names what it is compared with and `ratio` is value / that value; both None when it stands alone.
    """

    name: str
    value: float
    unit: str
    better: Literal["higher", "lower"]
    against: str | None
    ratio: float | None


def row(
    name: str,
    value: float,
    unit: str,
    *,
    better: Literal["higher", "lower"],
    against: str | None = None,
    ratio: float | None = None,
) -> Row:
    """A figure rounded to what its noise allows."""
    rounded = None if ratio is None else round(ratio, 3)
    return Row(name=name, value=round(value, 4), unit=unit, better=better, against=against, ratio=rounded)
