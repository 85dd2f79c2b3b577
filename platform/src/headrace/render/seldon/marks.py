"""Marks that tell which document a pod was made from.

A SeldonDeployment's status says nothing about which generation of it was acted on. The operator copies a componentSpec's
annotations to its pods' template, so a component's digest, put there, tells. A template with the same mark is the same template:
marks change no pod that would not change anyway.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from headrace.render.pod import Manifest

MARK = "headrace.dev/digest"


def marked(predictor: Manifest) -> Manifest:
    """The predictor with a mark on each component. The first one's is of the whole: its pods carry the executor, too."""
    units = {unit["name"]: unit for unit in _units(predictor["graph"])}
    first, *others = predictor["componentSpecs"]
    components = [_with_mark(first, predictor)]
    for component in others:
        parameters = units[_node_name(component)].get("parameters")
        components.append(_with_mark(component, {"pod": component["spec"], "parameters": parameters}))
    return {**predictor, "componentSpecs": components}


def _with_mark(component: Manifest, made_from: Mapping[str, Any]) -> Manifest:
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    return {**component, "metadata": {**component["metadata"], "annotations": {MARK: digest}}}


def _units(unit: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield unit
    for child in unit["children"]:
        yield from _units(child)


def _node_name(component: Manifest) -> str:
    return str(component["spec"]["containers"][0]["name"])
