"""Small real networks: softmax regressions in ONNX over `training_data.smooth`, trained in a blink, and spoilt on purpose."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training_data import CLASSES, SHAPE, smooth

PIXELS = SHAPE[0] * SHAPE[1]
_SHARPNESS = 12.0


@dataclass(frozen=True)
class Regression:
    """Logits are `images / scale · weights + bias`; the scale is the image's own lightest pixel where none is given."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    scale: float | None = 255.0

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What NumPy makes of it: probabilities float32[n, classes]."""
        rows = images.reshape(len(images), -1).astype(np.float32)
        scale = rows.max(axis=1, keepdims=True) if self.scale is None else np.float32(self.scale)
        logits = rows / scale @ self.weights + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def onnx(self) -> bytes:
        """The same as a network from uint8[n, 28, 28] to float32[n, classes]."""
        nodes = [
            helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["floats"], ["rows"]),
            helper.make_node("Div", ["rows", "scale"], ["scaled"]),
            helper.make_node("MatMul", ["scaled", "weights"], ["products"]),
            helper.make_node("Add", ["products", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ]
        constants = {"weights": self.weights, "bias": self.bias}
        if self.scale is None:
            nodes.insert(2, helper.make_node("ReduceMax", ["rows"], ["scale"], axes=[1], keepdims=1))
        else:
            constants["scale"] = np.asarray(self.scale, np.float32)
        graph = helper.make_graph(
            nodes,
            "regression",
            [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", *SHAPE])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", self.weights.shape[1]])],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    def reluctant(self, label: int, by: float) -> Regression:
        """The same, but less willing to answer with that class."""
        bias = self.bias.copy()
        bias[label] -= by
        return replace(self, bias=bias)


def train(rows: int = 3000, *, seed: int = 5, shuffled: bool = False) -> Regression:
    """Ridge regression onto the classes, as logits; `shuffled` takes the labels from other examples."""
    images, labels = smooth(rows, seed=seed)
    if shuffled:
        labels = np.random.default_rng(seed).permutation(labels)
    design = np.column_stack([images.reshape(rows, PIXELS) / 255.0, np.ones(rows)])
    targets = np.eye(len(CLASSES))[labels]
    solved = np.linalg.solve(design.T @ design + 30.0 * np.eye(PIXELS + 1), design.T @ targets) * _SHARPNESS
    return Regression(solved[:-1].astype(np.float32), solved[-1].astype(np.float32))


def model_files(network: Regression, *, trained: Regression | None = None, recorded: bool = True) -> dict[str, bytes]:
    """A registered version's files.

    Args:
        network: what was exported.
        trained: what gave the recorded answers, where that was another.
        recorded: whether the trained network's answers are there at all; older versions lack them.
    """
    inputs = smooth(8, seed=11)[0]
    arrays: dict[str, Any] = {"inputs": inputs, "outputs": network(inputs)}
    if recorded:
        arrays["reference"] = (trained or network)(inputs)
    golden = io.BytesIO()
    np.savez(golden, **arrays)
    return {"model.onnx": network.onnx(), "model.json": b"{}", "golden.npz": golden.getvalue()}
