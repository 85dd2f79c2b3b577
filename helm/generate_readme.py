"""Write the chart's README.md: its text from readme.md.in, the values' table from their schema and defaults.

Run by `make chart-readme`; a test holds the file to what this makes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
CHART = HERE / "headrace"
README = CHART / "README.md"


def render() -> str:
    """The README's whole text."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    text = (HERE / "readme.md.in").read_text()
    rules = (CHART / "files" / "installer-rules.yaml").read_text().strip()
    return text.replace("@RULES@", rules).replace("@VALUES@", _tables(schema["properties"], defaults))


def _tables(properties: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """A table for each section, and one for what stands alone."""
    sections = {name: each for name, each in properties.items() if "properties" in each}
    tables = [
        f"### {name}\n{section['description']}\n\n" + _table(_rows(section, defaults.get(name, {}), f"{name}."))
        for name, section in sections.items()
    ]
    alone = ((name, each["description"], defaults.get(name)) for name, each in properties.items() if name not in sections)
    return "\n\n".join([*tables, "### Others\n\n" + _table(alone)])


def _rows(schema: Mapping[str, Any], default: Any, prefix: str) -> Iterator[tuple[str, str, Any]]:
    for name, each in schema["properties"].items():
        value = (default or {}).get(name)
        if "properties" in each:
            yield f"{prefix}{name}", each["description"], None
            yield from _rows(each, value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", each["description"] + _choices(each), value


def _choices(schema: Mapping[str, Any]) -> str:
    return f" One of {', '.join(f'`{choice}`' for choice in schema['enum'])}." if "enum" in schema else ""


def _table(rows: Iterator[tuple[str, str, Any]]) -> str:
    lines = ["| value | meaning | default |", "|---|---|---|"]
    lines += [f"| `{name}` | {text} | {_default(value)} |" for name, text, value in rows]
    return "\n".join(lines)


def _default(value: Any) -> str:
    if value is None:
        return ""
    return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    README.write_text(render())
