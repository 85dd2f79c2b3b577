"""A canary from its beginning to its end, on a running engine under real requests: the reconciler looks, and decides."""

import dataclasses
import itertools
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from deployment_world import MODEL, SPACE, World
from graph_engine import SPACE as ENGINE_SPACE
from headrace.adapters.directory_store import DirectoryStore
from headrace.adapters.graph_engine import GraphEngine
from headrace.errors import DeploymentFailedError
from headrace.specs.canary import CanaryMode
from serving.conftest import CLASSES, ROW, write_model

pytestmark = pytest.mark.timeout(280)
CANARY = {"share": "50%", "requests": 30, "minimum": 20, "latency_ratio": 3}
WHITE = [[255] * 28] * 28
LABORIOUS, UNRELIABLE = "laborious", "unreliable"


def extend(folder, kind):
    """Make a model slow at any image, or fail at white ones; its answers, and its golden batch, stay as they are."""
    model = onnx.load(folder / "model.onnx")
    rows = next(node for node in model.graph.node if node.op_type == "Flatten").output[0]
    logits = next(node for node in model.graph.node if node.op_type == "MatMul").output[0]
    arrays, nodes = (laborious if kind == LABORIOUS else unreliable)(rows)
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    softmax.input[0] = "burdened"
    nodes.append(helper.make_node("Add", [logits, "burden"], ["burdened"]))
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    at = list(model.graph.node).index(softmax)
    for offset, node in enumerate(nodes):
        model.graph.node.insert(at + offset, node)
    onnx.save(model, folder / "model.onnx")


def laborious(rows):
    """Two billion multiplications an image, times nothing."""
    arrays = {
        "times": np.array([1500, 1]),
        "large": np.ones((784, 1600), np.float32),
        "none": np.float32(0),
    }
    nodes = [
        helper.make_node("Tile", [rows, "times"], ["tiled"]),
        helper.make_node("MatMul", ["tiled", "large"], ["product"]),
        helper.make_node("ReduceMean", ["product"], ["mean"], axes=[0, 1], keepdims=0),
        helper.make_node("Mul", ["mean", "none"], ["burden"]),
    ]
    return arrays, nodes


def unreliable(rows):
    """A look-up out of bounds when no pixel is below 255."""
    arrays = {"white": np.float32(255), "far": np.int64(1000), "table": np.zeros(1, np.float32)}
    nodes = [
        helper.make_node("ReduceMin", [rows], ["least"], keepdims=0),
        helper.make_node("Equal", ["least", "white"], ["blank"]),
        helper.make_node("Cast", ["blank"], ["place"], to=TensorProto.INT64),
        helper.make_node("Mul", ["place", "far"], ["index"]),
        helper.make_node("Gather", ["table", "index"], ["burden"]),
    ]
    return arrays, nodes


@pytest.fixture
def world(engine, tmp_path):
    """Version 1 serves on the engine, of one replica each; others are registered by the test."""
    assert SPACE == ENGINE_SPACE
    world = World(canary=CANARY)
    world.ensemble = world.ensemble.model_copy(update={"replicas": 1})
    world.serving = GraphEngine(engine.url)
    world.store = DirectoryStore(tmp_path / "store")
    rollout = dataclasses.replace(world.reconciler.rollout, serving=world.serving, store=world.store)
    world.reconciler = dataclasses.replace(world.reconciler, rollout=rollout)
    numbers = itertools.count(1)

    def register(kind=""):
        number = next(numbers)
        folder = tmp_path / str(number)
        write_model(folder, seed=number)
        if kind:
            extend(folder, kind)
        version = world.register(f"{number}")
        world.registry.files[MODEL, version] = {file.name: file.read_bytes() for file in folder.iterdir()}
        return version

    world.trained = register
    world.deploy(register())
    yield world
    world.serving.delete(SPACE, MODEL)


def ask(engine, image, times):
    """The statuses of so many requests, by two callers."""
    body = json.dumps({"data": {"ndarray": [image]}})

    def one(_):
        return httpx.post(engine.predictions(MODEL), content=body, trust_env=False, timeout=30).status_code

    with ThreadPoolExecutor(2) as callers:
        return list(callers.map(one, range(times)))


def kinds(world, revision):
    return [kind for kind, _ in world.events(revision)]


def test_a_version_as_good_goes_on_by_itself(world, engine):
    version = world.trained()
    assert world.deploy(version).on_trial
    assert set(ask(engine, ROW, 90)) == {200}
    found = world.reconcile()
    assert (found.revision, found.waits) == (2, ""), world.events(2)
    assert kinds(world, 2) == ["requested", "aliased", "canary", "confirmed", "live"]
    assert world.events(2)[3][1].startswith("within its limits after ")
    assert set(ask(engine, ROW, 4)) == {200}
    assert world.live_versions == {"slot-1": version}


def test_a_slower_version_goes_back_by_itself_and_the_history_says_why(world, engine):
    world.deploy(world.trained(LABORIOUS))
    assert set(ask(engine, ROW, 60)) == {200}
    with pytest.raises(DeploymentFailedError, match="withdrawn as a canary: it takes"):
        world.reconcile()
    assert kinds(world, 2) == ["requested", "aliased", "canary", "withdrawn", "restored"]
    assert "times as long; 3 times is allowed. new: 0 of " in world.events(2)[3][1]
    back(world, engine)


def test_an_erring_version_goes_back_by_itself_and_the_history_says_why(world, engine):
    world.deploy(world.trained(UNRELIABLE))
    statuses = ask(engine, WHITE, 60)
    assert set(statuses) == {200, 500}, "half of the callers met it"
    with pytest.raises(DeploymentFailedError, match="withdrawn as a canary: it fails at"):
        world.reconcile()
    failed = statuses.count(500)
    assert f"new: {failed} of " in world.events(2)[3][1]
    back(world, engine)


def test_an_erring_shadow_goes_back_without_that_anybody_met_it(world, engine):
    shadow = world.ensemble.canary.model_copy(update={"mode": CanaryMode.SHADOW})
    world.ensemble = world.ensemble.model_copy(update={"canary": shadow})
    world.deploy(world.trained(UNRELIABLE))
    assert set(ask(engine, WHITE, 60)) == {200}
    with pytest.raises(DeploymentFailedError, match="withdrawn as a canary: it fails at"):
        world.reconcile()
    back(world, engine)


def back(world, engine):
    """What served before serves, for everybody, and the aliases say so."""
    assert (world.aliases, world.live_versions) == ({"slot-1": 1}, {"slot-1": 1})
    assert set(ask(engine, WHITE, 10)) == {200}
    assert {each["node"] for each in engine.status(MODEL)["replicas"]} == {"combiner", "slot-1"}
    reply = engine.ask(MODEL, {"data": {"ndarray": [ROW]}}).json()
    assert reply["data"]["names"] == CLASSES
    assert [vote["version"] for vote in reply["meta"]["tags"]["votes"]] == ["1"]
