"""The trained network as ONNX, with the answers it must go on giving."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from headrace.errors import TrainingFailedError
from headrace.specs.training import TrainingJob
from headrace.training.architectures import build
from headrace.training.data import Data
from headrace.training.examples import Examples, Images
from headrace.training.reporter import Arrays

TOLERANCE = 1e-4
"""Largest absolute difference allowed between a probability of the Keras model and the exported one."""
OUTPUT = "probabilities"
Predict = Callable[[Images], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A trained network in both forms.

    Attributes:
        model: the Keras model, free of its strategy.
        network: the ONNX document: input `image` uint8[n, h, w], output `probabilities` float32[n, classes].
        predict: runs `network` through onnxruntime on the CPU, as serving does.
        golden: validation images whose answers are recorded, `uint8[k, h, w]`.
        reference: what the Keras model answers for `golden`, `float32[k, classes]`.
        parity: the largest absolute difference between the two forms' probabilities on `golden`.
    """

    model: keras.Model
    network: bytes
    predict: Predict
    golden: Images
    reference: NDArray[np.float32]
    parity: float


def export(job: TrainingJob, weights: Arrays, data: Data) -> Exported:
    """Rebuild the network outside its strategy (distributed variables cannot be exported), and export it.

    Args:
        job: whose network it is.
        weights: of all its layers, in Keras' order (`model.get_weights()`).
        data: what it was trained on.

    Raises:
        TrainingFailedError: the two forms differ by more than the tolerance: what would serve is not what was trained.
    """
    model = build(job.member.architecture, shape=data.shape, classes=len(data.classes))
    model.set_weights(list(weights))
    golden = golden_images(data.validation, job.training.golden_rows)
    trained = np.asarray(model(golden, training=False), np.float32)
    network = to_onnx(model)
    predict = open_onnx(network)
    difference = float(np.abs(trained - predict(golden)).max())
    if not difference <= TOLERANCE:
        raise TrainingFailedError(
            f"the exported network answers {difference:.2g} away from the trained one; {TOLERANCE:.0e} is allowed",
            where=f"member {job.name}",
            remedy="A layer does not export faithfully; look at the architecture and the exporter's versions.",
        )
    return Exported(model=model, network=network, predict=predict, golden=golden, reference=trained, parity=difference)


def to_onnx(model: keras.Model) -> bytes:
    """The ONNX document of a Keras model that has been called once."""
    with tempfile.TemporaryDirectory(prefix="headrace-export-") as folder, warnings.catch_warnings():
        path = Path(folder, "model.onnx")
        # Keras looks whether NumPy still has a name that tf2onnx uses, and NumPy warns of the looking.
        warnings.simplefilter("ignore", FutureWarning)
        model.export(path, format="onnx", verbose=False)
        return _named_output(path.read_bytes())


def _named_output(network: bytes) -> bytes:
    """Call the output `probabilities`: the exporter leaves it with the name of an inner node."""
    import onnx

    document = onnx.load_model_from_string(network)
    output = document.graph.output[0]
    for node in document.graph.node:
        node.output[:] = [OUTPUT if name == output.name else name for name in node.output]
        node.input[:] = [OUTPUT if name == output.name else name for name in node.input]
    output.name = OUTPUT
    return bytes(document.SerializeToString())


def open_onnx(network: bytes) -> Predict:
    """An ONNX document as a function."""
    import onnxruntime

    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: np.asarray(session.run(None, {name: images})[0], np.float32)


def golden_images(examples: Examples, count: int) -> Images:
    """Examples spread evenly over a split, `uint8[k, h, w]` with k = min(count, rows)."""
    return examples.take(np.unique(np.linspace(0, len(examples) - 1, count).astype(np.int64)))[0]


def write_companions(folder: Path, exported: Exported, *, job: TrainingJob, run_id: str, classes: tuple[str, ...]) -> None:
    """Write what serving needs beside `model.onnx`.

    `golden.npz`: `inputs` uint8[k, h, w], `outputs` float32[k, classes] as the *exported* network gave them through
    onnxruntime, and `reference` float32[k, classes] as the Keras model did. Replicas are held against the former; the gate holds
    what is to serve against the latter. `model.json`: what the network is called; `version` is null, since only the registry
    numbers it.
    """
    golden = exported.golden
    answers = {"outputs": exported.predict(golden), "reference": exported.reference}
    np.savez(folder / "golden.npz", allow_pickle=False, inputs=golden, **answers)
    about = {"model": job.model, "version": None, "classes": list(classes), "run_id": run_id, "member": job.name}
    (folder / "model.json").write_text(json.dumps(about, indent=2))
