"""The trained network as MLflow models: ONNX, which is registered and served, and Keras beside it, to go on working with.

The calls are the explicit ones behind `mlflow.onnx.log_model`: one upload brings network, recorded answers and MLflow's own
files into one folder, no global run is touched, and no environment is inferred (12 to 28 s in a process of its own).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import keras
import numpy as np
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types.schema import Schema, TensorSpec

from headrace.training.examples import Images

SaveFiles = Callable[[Path, Model], None]
"""Writes an MLflow model into an empty folder."""
_SMALLER = {"tensorflow": "tensorflow-cpu", "mlflow": "mlflow-skinny"}


def image_schema(shape: tuple[int, ...]) -> Schema:
    """Any number of images, uint8[-1, *shape]."""
    return Schema([TensorSpec(np.dtype(np.uint8), (-1, *shape))])


def signature(shape: tuple[int, ...], classes: int) -> ModelSignature:
    """From images to probabilities, float32[-1, classes]."""
    return ModelSignature(image_schema(shape), Schema([TensorSpec(np.dtype(np.float32), (-1, classes))]))


@dataclass(frozen=True, kw_only=True)
class ModelLog:
    """Where the models of one run go.

    Attributes:
        client: of the tracking server.
        run_id: of the run that trained them.
        epochs: the step they are shown at.
        signature: theirs.
        example: one image, uint8[1, h, w], shown as how to ask them.
    """

    client: MlflowClient
    run_id: str
    epochs: int
    signature: ModelSignature
    example: Images

    def discard_leftovers(self) -> None:
        """Remove models that an earlier try of the job began and did not finish."""
        experiment = str(self.client.get_run(self.run_id).info.experiment_id)
        for model in self.client.search_logged_models([experiment], filter_string=f"source_run_id = '{self.run_id}'"):
            self.client.delete_logged_model(model.model_id)

    def log_onnx(self, network: bytes, write_companions: Callable[[Path], None]) -> str:
        """Log the exported network as `model`, with the files that `write_companions` puts beside it.

        Returns:
            Its model id. Its folder holds `model.onnx` and the companions.
        """
        import mlflow.onnx
        import onnx

        def save(folder: Path, about: Model) -> None:
            mlflow.onnx.save_model(
                onnx.load_model_from_string(network),
                folder,
                mlflow_model=about,
                signature=self.signature,
                input_example=self.example,
                pip_requirements=_pinned("mlflow", "numpy", "onnx", "onnxruntime"),
                onnx_execution_providers=["CPUExecutionProvider"],
                save_as_external_data=False,
            )
            write_companions(folder)

        return self._log("model", save)

    def log_keras(self, model: keras.Model) -> str:
        """Log the trained network as `keras`.

        Returns:
            Its model id.
        """
        import mlflow.keras

        def save(folder: Path, about: Model) -> None:
            mlflow.keras.save_model(
                model,
                str(folder),
                mlflow_model=about,
                signature=self.signature,
                input_example=self.example,
                pip_requirements=_pinned("keras", "mlflow", "numpy", "tensorflow"),
            )

        return self._log("keras", save)

    def _log(self, name: str, save: SaveFiles) -> str:
        run = self.client.get_run(self.run_id)
        logged = self.client.create_logged_model(
            str(run.info.experiment_id), name=name, source_run_id=self.run_id, params=dict(run.data.params)
        )
        about = Model(
            artifact_path=logged.artifact_location, run_id=self.run_id, model_uuid=logged.model_id, model_id=logged.model_id
        )
        with tempfile.TemporaryDirectory(prefix="headrace-model-") as temporary:
            folder = Path(temporary)
            save(folder, about)
            self.client.log_model_artifacts(logged.model_id, str(folder))
        self.client.log_outputs(self.run_id, [LoggedModelOutput(logged.model_id, step=self.epochs)])
        self.client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
        return str(logged.model_id)


def _pinned(*packages: str) -> Sequence[str]:
    return [f"{package}=={_installed(package)}" for package in packages]


def _installed(package: str) -> str:
    """The version here. An image may hold a smaller distribution of the same code; whoever loads the model takes the whole."""
    try:
        return version(package)
    except PackageNotFoundError:
        return version(_SMALLER.get(package, package))
