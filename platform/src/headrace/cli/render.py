"""How commands show what they found: a table for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import typer

_ANY_WIDTH = 10_000  # columns; a table takes what its cells need


def show_json(value: Any) -> None:
    """Write a value to standard output as JSON; moments become ISO 8601."""
    typer.echo(json.dumps(value, indent=2, default=_plain))


def show_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table to standard output; cells may hold rich's markup. On anything but a terminal it is never cut to a width."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=_ANY_WIDTH)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def megabytes(count: int) -> str:
    """Bytes as whole megabytes (10^6), or nothing for none."""
    return f"{count / 1e6:,.0f} MB" if count else ""


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    raise TypeError(f"{type(value).__name__} has no JSON form")
