"""A running graph engine and small real ONNX models for it."""

import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from headrace.render.seldon import ServingTarget, render_deployment
from headrace.specs.serving import EnsembleSpec, SlotMember

ROOT = Path(__file__).parents[2]
SERVING_PYTHON = os.environ.get("HEADRACE_SERVING_PYTHON", str(ROOT / ".venv-serving" / "bin" / "python"))
CLASSES = ["shirt", "shoe", "bag"]
SPACE = "test"


def wait_for(condition, within, what):
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.05)
    return value


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


@dataclass
class Engine:
    """An engine in a process of its own."""

    folder: Path
    port: int
    process: subprocess.Popen | None = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        command = [SERVING_PYTHON, "-m", "headrace.serving.engine", "--port", str(self.port), "--body-limit-mib", "1"]
        command += ["--state", str(self.folder / "state"), "--log-dir", str(self.folder / "logs")]
        with (self.folder / "engine.log").open("a") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)
        wait_for(self._answers, 30, "the engine answers")

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "engine.log").read_text()
        try:
            return httpx.get(f"{self.url}/live", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(15)

    def resource(self, name):
        return f"{self.url}/apis/machinelearning.seldon.io/v1/namespaces/{SPACE}/seldondeployments/{name}"

    def put(self, document):
        return httpx.put(self.resource(document["metadata"]["name"]), json=document, trust_env=False)

    def status(self, name):
        reply = httpx.get(self.resource(name), trust_env=False)
        return reply.json()["status"] if reply.is_success else None

    def settled(self, name, within=60):
        """The status once the desired document is live or has failed."""
        wait_for(lambda: self.status(name)["state"] != "Creating", within, f"{name} is settled")
        return self.status(name)

    def predictions(self, name):
        return f"{self.url}/seldon/{SPACE}/{name}/api/v1.0/predictions"

    def ask(self, name, message, **request):
        return httpx.post(self.predictions(name), json=message, trust_env=False, timeout=30, **request)

    def processes(self):
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    engine = Engine(folder=tmp_path_factory.mktemp("engine"), port=port)
    try:
        engine.start()
        yield engine
    finally:
        if engine.process:
            engine.process.kill()
            engine.process.wait()


@pytest.fixture(scope="session")
def graph(tmp_path_factory):
    """Renders graphs over small models, made once for each seed."""
    root = tmp_path_factory.mktemp("models")
    models = {}

    def make(name, seeds=(1, 2), *, replicas=2, golden_error=0.0):
        for seed in seeds:
            if seed not in models:
                models[seed] = write_model(root / str(seed), seed, golden_error=golden_error)
        members = [
            SlotMember(slot=slot, model="m", version=seed, run_id=f"run-{seed}", location=str(root / str(seed)), digest="0" * 64)
            for slot, seed in enumerate(seeds, start=1)
        ]
        spec = EnsembleSpec(name=name, model="m", replicas=replicas)
        return render_deployment(spec, members, ServingTarget(namespace=SPACE)), [models[seed] for seed in seeds]

    return make
