"""A model node: an ONNX network that proves itself before it serves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from seldon_core.user_model import SeldonNotImplementedError, SeldonResponse

from headrace.serving.messages import Array, payload, refuse, reply, request_path


class OnnxModel:
    """A Seldon component (`predict`) over an ONNX file; runs under `seldon-core-microservice` unchanged.

    Input: whole numbers from 0 to 255, shape [n, …] as the network's own input says (uint8). Output: probabilities, [n, classes].

    Args:
        model_path: folder with `model.onnx`, `golden.npz` (`inputs` uint8 [k, …], `outputs` float32 [k, classes]) and
            `model.json` (`model`, `run_id`, `classes`).
        name: the slot's name, shown with each vote.
        version: of the registered model.
        digest: of the served files, passed on in the tags.
        tolerance: largest absolute difference allowed between a golden output and the one recorded at training.
        intra_op_threads: threads one prediction may use.
    """

    def __init__(
        self,
        model_path: str,
        name: str = "model",
        version: str = "",
        digest: str = "",
        tolerance: str = "1e-4",
        intra_op_threads: str = "1",
    ) -> None:
        self._folder = Path(model_path)
        self._name = name
        self._tolerance = float(tolerance)
        self._threads = int(intra_op_threads)
        about = json.loads((self._folder / "model.json").read_text())
        self._classes: list[str] = about["classes"]
        self._tags = {"name": name, "model": about["model"], "version": version, "run_id": about["run_id"], "digest": digest}
        self._session: onnxruntime.InferenceSession | None = None
        self._input_name = ""
        self._row_shape: tuple[int, ...] = ()

    def load(self) -> None:
        """Open the network and ask it its golden batch. Called once, before the replica is ready.

        Raises:
            RuntimeError: the answers differ from those recorded at training; the process ends and never serves.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            str(self._folder / "model.onnx"), sess_options=options, providers=["CPUExecutionProvider"]
        )
        entry = session.get_inputs()[0]
        self._input_name, self._row_shape = entry.name, tuple(entry.shape[1:])
        self._session = session
        self._prove()

    def predict(self, X: Any, names: Iterable[str], meta: Any = None) -> SeldonResponse:  # noqa: N803 - Seldon's own name
        """Probabilities [n, classes] for `X` [n, …], with the model's identity in the tags."""
        del names, meta
        return SeldonResponse(data=self._probabilities(np.asarray(X)), tags={self._name: self._tags})

    def predict_raw(self, msg: Any) -> dict[str, Any]:
        """The REST form of `predict`: malformed payloads are refused in words here, before the wrapper would fail on them."""
        if not isinstance(msg, dict):
            raise SeldonNotImplementedError("only JSON is handled here")
        probabilities = self._probabilities(payload(msg, self._expected))
        meta = {"tags": {self._name: self._tags}, "requestPath": request_path()}
        return reply(msg, probabilities, names=self._classes, meta=meta)

    def class_names(self) -> list[str]:
        """Names of the output's columns."""
        return self._classes

    def health_status(self) -> Array:
        """Run the golden batch again; the wrapper answers 500 when this raises."""
        self._prove()
        return np.array([1])

    def tags(self) -> dict[str, Any]:
        """Which model this is."""
        return {self._name: self._tags}

    @property
    def _expected(self) -> str:
        shape = ", ".join(["n", *(str(side) for side in self._row_shape)])
        return f"whole numbers from 0 to 255 of shape [{shape}], n at least 1"

    def _probabilities(self, rows: Array) -> Array:
        """Check and run `rows`."""
        if rows.dtype.kind not in "iuf" or rows.dtype == object:
            raise refuse(f"expected {self._expected}; got values of type {rows.dtype}")
        if rows.shape[1:] != self._row_shape or rows.ndim != len(self._row_shape) + 1 or not len(rows):
            raise refuse(f"expected {self._expected}; got shape {list(rows.shape)}")
        pixels = rows.astype(np.uint8, casting="unsafe") if self._in_range(rows) else None
        if pixels is None or not np.array_equal(pixels, rows):
            raise refuse(f"expected {self._expected}; got values that are not")
        return self._run(pixels)

    @staticmethod
    def _in_range(rows: Array) -> bool:
        """Whether all values lie in 0 … 255; NaN does not."""
        return bool(rows.min() >= 0 and rows.max() <= np.iinfo(np.uint8).max)

    def _run(self, pixels: Array) -> Array:
        if self._session is None:
            raise RuntimeError("the model is not loaded")
        (outputs,) = self._session.run(None, {self._input_name: pixels})
        return np.asarray(outputs, dtype=np.float64)

    def _prove(self) -> None:
        with np.load(self._folder / "golden.npz") as golden:
            difference = float(np.abs(self._run(golden["inputs"]) - golden["outputs"]).max())
        if not difference <= self._tolerance:
            raise RuntimeError(
                f"{self._name}: the golden batch comes out {difference:.3g} away from what was recorded at training; "
                f"{self._tolerance:.3g} is allowed (model files in {self._folder})"
            )
