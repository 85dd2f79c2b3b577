"""`python -m bench [SECTION …]`: run the sections (all by default), print a table, and bring bench/results.json up to date."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.rows import Row

SECTIONS = ("ingest", "training", "stack", "pipeline", "promotion", "serving")
RESULTS = Path(__file__).parents[2] / "bench" / "results.json"


def main(sections: list[str]) -> None:
    """Measure and write; a section's figures are written as soon as it ends, so that a later failure loses nothing."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    for name in sections or SECTIONS:
        console.print(f"measuring {name} …")
        rows: list[Row] = importlib.import_module(f"bench.{name}").rows()
        _write(rows)
        console.print(_table(name, rows))


def _write(rows: list[Row]) -> None:
    known = {row["name"]: row for row in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
    known |= {row["name"]: row for row in rows}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(list(known.values()), indent=2) + "\n")


def _table(title: str, rows: list[Row]) -> Table:
    table = Table(title=title)
    for heading in ("figure", "value", "unit", "better", "against", "ratio"):
        table.add_column(heading)
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        table.add_row(row["name"], f"{row['value']:,.3f}", row["unit"], row["better"], row["against"] or "", ratio)
    return table


if __name__ == "__main__":
    main(sys.argv[1:])
