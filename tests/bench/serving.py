"""What the endpoint does: two convolutional networks behind the combiner, two replicas of each, one image a request."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.load import measure_endpoint
from bench.rows import Row, row
from graph_engine import SPACE, running_engine
from headrace.render.seldon import ServingTarget, render_deployment
from headrace.specs.serving import EnsembleSpec, SlotMember
from headrace.specs.training import Architecture

CLASSES = [f"class {index}" for index in range(10)]
SECONDS = 8.0


def rows() -> list[Row]:
    """Requests a second and latency with one and with eight callers."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as temporary, running_engine(Path(temporary)) as engine:
        document = _graph(Path(temporary))
        engine.put(document).raise_for_status()
        assert engine.settled("bench")["state"] == "Available"
        body = json.dumps({"data": {"ndarray": _images(1).tolist()}}).encode()
        measure_endpoint(engine.predictions("bench"), body, callers=2, seconds=2)
        one = measure_endpoint(engine.predictions("bench"), body, callers=1, seconds=SECONDS)
        eight = measure_endpoint(engine.predictions("bench"), body, callers=8, seconds=SECONDS)
    assert one.failed == eight.failed == 0
    return [
        row("serving.rps_c1", one.rps, "requests/s", better="higher"),
        row("serving.p50_ms_c1", one.p50_ms, "ms", better="lower"),
        row("serving.p99_ms_c1", one.p99_ms, "ms", better="lower"),
        row("serving.rps_c8", eight.rps, "requests/s", better="higher", against="serving.rps_c1", ratio=eight.rps / one.rps),
        row("serving.p50_ms_c8", eight.p50_ms, "ms", better="lower"),
        row("serving.p99_ms_c8", eight.p99_ms, "ms", better="lower"),
    ]


def _graph(folder: Path) -> dict[str, Any]:
    members = []
    for slot, architecture in enumerate((Architecture.CNN, Architecture.CNN_DROPOUT), start=1):
        location = folder / architecture
        _write_model(location, architecture)
        members.append(SlotMember(slot=slot, model="m", version=slot, run_id=str(slot), location=str(location), digest="0" * 64))
    return render_deployment(EnsembleSpec(name="bench", model="m"), members, ServingTarget(namespace=SPACE))


def _write_model(folder: Path, architecture: Architecture) -> None:
    """The pipeline's own network, untrained: weights change what it answers, not how fast."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from headrace.training.architectures import build
    from headrace.training.export import open_onnx, to_onnx

    folder.mkdir()
    model = build(architecture, shape=(28, 28), classes=len(CLASSES))
    model(_images(1), training=False)
    network = to_onnx(model)
    (folder / "model.onnx").write_bytes(network)
    np.savez(folder / "golden.npz", inputs=_images(4), outputs=open_onnx(network)(_images(4)))
    (folder / "model.json").write_text(json.dumps({"model": "m", "run_id": "none", "classes": CLASSES}))


def _images(count: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)
