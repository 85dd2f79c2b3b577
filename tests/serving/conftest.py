"""A running graph engine and small real ONNX models for it."""

import json

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from graph_engine import SPACE, running_engine
from headrace.render.seldon import ServingTarget, render_deployment
from headrace.specs.serving import EnsembleSpec, SlotMember
from serving.odd_graphs import deployment

CLASSES = ["shirt", "shoe", "bag"]
ROW = [[0] * 28] * 28
"""An empty image."""


def write_model(folder, seed, *, golden_error=0.0):
    """A softmax regression on [n, 28, 28] uint8, with its golden batch and description; returns what it computes."""
    folder.mkdir(parents=True)
    weights = np.random.default_rng(seed).normal(size=(784, len(CLASSES))).astype(np.float32) / 1000
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "regression",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 28, 28])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(CLASSES)])],
        [numpy_helper.from_array(weights, "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "model.onnx")

    def probabilities(pixels):
        logits = np.asarray(pixels, np.float32).reshape(len(pixels), -1) @ weights
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    inputs = images(4, seed=1)
    np.savez(folder / "golden.npz", inputs=inputs, outputs=probabilities(inputs) + np.float32(golden_error))
    about = {"model": "m", "run_id": f"run-{seed}", "classes": CLASSES}
    (folder / "model.json").write_text(json.dumps(about))
    return probabilities


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    with running_engine(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.fixture(scope="session")
def graph(tmp_path_factory):
    """Renders graphs over small models, made once for each seed."""
    root = tmp_path_factory.mktemp("models")
    models = {}

    def make(name, seeds=(1, 2), *, replicas=2, golden_error=0.0, space=SPACE):
        for seed in seeds:
            if seed not in models:
                models[seed] = write_model(root / str(seed), seed, golden_error=golden_error)
        members = [
            SlotMember(slot=slot, model="m", version=seed, run_id=f"run-{seed}", location=str(root / str(seed)), digest="0" * 64)
            for slot, seed in enumerate(seeds, start=1)
        ]
        spec = EnsembleSpec(name=name, model="m", replicas=replicas)
        return render_deployment(spec, members, ServingTarget(namespace=space)), [models[seed] for seed in seeds]

    return make


@pytest.fixture
def live(engine, graph):
    """A graph of two models that serves, and what its models compute."""
    document, models = graph("live")
    engine.put(document).raise_for_status()
    assert engine.settled("live")["state"] == "Available"
    return models


@pytest.fixture
def run(engine):
    """Applies a graph under the name `odd` and waits until it is settled; removes it in the end."""

    def apply(graph, *, wait=True, **options):
        engine.put(deployment("odd", graph, **options)).raise_for_status()
        return engine.settled("odd") if wait else engine.status("odd")

    yield apply
    httpx.delete(engine.resource("odd"), trust_env=False, timeout=60)
