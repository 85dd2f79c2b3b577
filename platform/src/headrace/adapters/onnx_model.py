"""ONNX networks by onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from headrace.errors import CorruptError
from headrace.ports.models import Probabilities
from headrace.ports.source import Images

_MATRIX = 2


class OnnxRunner:
    """Implements `ports.models.ModelRunner`."""

    def open(self, network: Path) -> OpenOnnxModel:
        """See the port."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        try:
            session = onnxruntime.InferenceSession(str(network), sess_options=options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common base
            raise CorruptError(f"the network cannot be loaded: {error}", where=str(network)) from error
        return OpenOnnxModel(session, network)


@dataclass(frozen=True)
class OpenOnnxModel:
    """Implements `ports.models.OpenModel`."""

    session: Any
    network: Path

    def predict(self, images: Images) -> Probabilities:
        """See the port."""
        try:
            (outputs,) = self.session.run(None, {self.session.get_inputs()[0].name: images})
        except Exception as error:  # as above
            shape = [len(images), *images.shape[1:]]
            raise CorruptError(f"the network does not take {images.dtype} {shape}: {error}", where=str(self.network)) from error
        answers = np.asarray(outputs, np.float32)
        if answers.ndim != _MATRIX or len(answers) != len(images):
            raise CorruptError(f"the network answers {len(images)} rows with {list(answers.shape)}", where=str(self.network))
        return answers
