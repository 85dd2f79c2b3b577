"""SeldonDeployments over the odd components, written out as a person would."""

import json
import os
from pathlib import Path

from graph_engine import SPACE

TWO_CLASSES = {"data": {"names": ["a", "b"], "ndarray": [[0.25, 0.75]]}, "meta": {}}


def node(name, component, /, *children, kind="MODEL", **parameters):
    """A node and the component that runs it; `parameters` as Seldon types them."""
    types = {int: "INT", float: "FLOAT", str: "STRING"}
    return {
        "name": name,
        "type": kind,
        "component": component,
        "children": list(children),
        "parameters": [{"name": key, "type": types[type(value)], "value": str(value)} for key, value in parameters.items()],
    }


def answering(name, message=TWO_CLASSES, *, component="Answer", **parameters):
    """A model that answers `message`."""
    return node(name, f"odd_components.{component}", message=json.dumps(message), **parameters)


def lots_between(former, new, *, share):
    """Seldon's random router over two nodes, the second of which gets the share."""
    ratio = [{"name": "ratioA", "type": "FLOAT", "value": str(1 - share)}]
    return {"name": "canary", "implementation": "RANDOM_ABTEST", "children": [former, new], "parameters": ratio}


def mean_of(*children, name="combiner", **parameters):
    """The platform's own combiner over some children."""
    return node(name, "headrace.serving.combiner.MeanCombiner", *children, kind="COMBINER", **parameters)


def deployment(name, graph, *, replicas=1, timeout_ms=10_000):
    """The document of a graph; every node can import the odd components."""
    specs = []
    _strip(graph, specs)
    return {
        "apiVersion": "machinelearning.seldon.io/v1",
        "kind": "SeldonDeployment",
        "metadata": {"name": name, "namespace": SPACE, "annotations": {"seldon.io/rest-timeout": str(timeout_ms)}},
        "spec": {"predictors": [{"name": "live", "replicas": replicas, "graph": graph, "componentSpecs": specs}]},
    }


def _strip(graph, specs):
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    if component := graph.pop("component", None):
        environment = {"MODEL_NAME": component, "PYTHONPATH": path}
        env = [{"name": key, "value": value} for key, value in environment.items()]
        specs.append({"spec": {"containers": [{"name": graph["name"], "image": "odd:1", "env": env}]}})
    for child in graph["children"]:
        _strip(child, specs)
