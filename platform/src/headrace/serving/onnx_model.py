"""A model node: an ONNX network that proves itself before it serves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from seldon_core.user_model import SeldonNotImplementedError, SeldonResponse

from headrace.serving.input_contract import InputContract
from headrace.serving.messages import Array, payload, reply, request_path


class OnnxModel:
    """A Seldon component (`predict`) over an ONNX file; runs under `seldon-core-microservice` unchanged.

    Input: whole numbers in the shape and type that the network itself asks for, say uint8 [n, 28, 28]. Output: probabilities,
    float64 [n, classes].

    Args:
        model_path: folder with `model.onnx`, `golden.npz` (`inputs` [k, …], `outputs` [k, classes]) and `model.json` (`model`,
            `run_id`, `classes`).
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
        self._opened: tuple[onnxruntime.InferenceSession, InputContract] | None = None

    def load(self) -> None:
        """Open the network and ask it its golden batch. Called once, before the replica is ready.

        Raises:
            RuntimeError: the answers differ from those recorded at training; the process ends and never serves.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        path = str(self._folder / "model.onnx")
        session = onnxruntime.InferenceSession(path, sess_options=options, providers=["CPUExecutionProvider"])
        self._opened = session, InputContract.of(session)
        self._prove()

    def predict(self, X: Any, names: Iterable[str], meta: Any = None) -> SeldonResponse:  # noqa: N803 - Seldon's own name
        """Probabilities [n, classes] for `X` [n, …], with the model's identity in the tags."""
        del names, meta
        session, contract = self._open()
        return SeldonResponse(data=_run(session, contract, contract.rows(np.asarray(X))), tags=self.tags())

    def predict_raw(self, msg: Any) -> dict[str, Any]:
        """The REST form of `predict`: malformed payloads are refused in words here, before the wrapper would fail on them."""
        if not isinstance(msg, dict):
            raise SeldonNotImplementedError("only JSON is handled here")
        session, contract = self._open()
        probabilities = _run(session, contract, contract.rows(payload(msg, str(contract))))
        return reply(msg, probabilities, names=self._classes, meta={"tags": self.tags(), "requestPath": request_path()})

    def class_names(self) -> list[str]:
        """Names of the output's columns."""
        return self._classes

    def health_status(self) -> Array:
        """Run the golden batch again; the wrapper answers 500 when this raises."""
        self._prove()
        return np.array([1])

    def tags(self) -> dict[str, Any]:
        """Which model this is, under its slot's name. The same at any time, so that threads cannot mix them up."""
        return {self._name: self._tags}

    def _open(self) -> tuple[onnxruntime.InferenceSession, InputContract]:
        if self._opened is None:
            raise RuntimeError("the model is not loaded")
        return self._opened

    def _prove(self) -> None:
        session, contract = self._open()
        with np.load(self._folder / "golden.npz") as golden:
            answers, recorded = _run(session, contract, contract.rows(golden["inputs"])), golden["outputs"]
        shape = (len(recorded), len(self._classes))
        if answers.shape != shape or recorded.shape != shape:
            raise RuntimeError(
                f"{self._name}: the golden batch comes out as {answers.shape} and was recorded as {recorded.shape}; "
                f"with {len(self._classes)} classes both must be {shape} (model files in {self._folder})"
            )
        difference = float(np.abs(answers - recorded).max())
        if not difference <= self._tolerance:  # so that NaN is refused, too
            raise RuntimeError(
                f"{self._name}: the golden batch comes out {difference:.3g} away from what was recorded at training; "
                f"{self._tolerance:.3g} is allowed (model files in {self._folder})"
            )


def _run(session: onnxruntime.InferenceSession, contract: InputContract, rows: Array) -> Array:
    (outputs,) = session.run(None, {contract.name: rows})
    return np.asarray(outputs, dtype=np.float64)
