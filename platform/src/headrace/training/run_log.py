"""The job's MLflow run, as its chief writes it. Saying something twice says it once: a retried job writes into the same run."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from mlflow.data.schema import TensorDatasetSchema
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from mlflow.types.schema import Schema, TensorSpec
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_RUN_NOTE

from headrace.specs.dataset import DatasetManifest, Split
from headrace.training.model_log import image_schema

MODEL_URI = "headrace.model_uri"
"""Set on the run once the logged model is complete: a retry uses it and logs no second one."""
_DIGEST_LIMIT = 36
"""Characters MLflow keeps of a dataset's digest; the whole one is in the profile."""


class RunLog:
    """One run, opened by whoever started the job. All methods may raise mlflow.exceptions.MlflowException."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client = client
        self.run_id = run_id
        run = client.get_run(run_id)
        self.model_uri: str | None = run.data.tags.get(MODEL_URI)
        self._epochs_logged = self._last_step("validation_accuracy")

    def describe(self, *, params: Mapping[str, object], tags: Mapping[str, str], note: str) -> None:
        """Write parameters, tags and the description shown on top of the run."""
        self._client.log_batch(
            self.run_id,
            params=[Param(key, str(value)) for key, value in params.items()],
            tags=[RunTag(key, value) for key, value in {**tags, MLFLOW_RUN_NOTE: note}.items()],
        )

    def log_dataset(self, manifest: DatasetManifest, *, source: str) -> None:
        """Write the dataset version as the run's input, in the context `training`."""
        labels = Schema([TensorSpec(np.dtype(np.uint8), (-1,))])
        schema = TensorDatasetSchema(features=image_schema(manifest.example_shape), targets=labels)
        rows = {split.value: manifest.rows(split) for split in Split}
        profile = {"version": manifest.version, "digest": manifest.digest, "rows": rows, "classes": list(manifest.classes)}
        dataset = Dataset(
            name=manifest.dataset,
            digest=manifest.digest[:_DIGEST_LIMIT],
            source_type="headrace",
            source=json.dumps({"uri": source}),
            schema=json.dumps(schema.to_dict()),
            profile=json.dumps(profile),
        )
        self._client.log_inputs(self.run_id, [DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "training")])])

    def log_epochs(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write the metrics of the epochs that the run does not have yet; the step is the epoch, from 1."""
        now = int(time.time() * 1000)
        missing = list(enumerate(history, start=1))[self._epochs_logged :]
        metrics = [Metric(key, value, now, epoch) for epoch, values in missing for key, value in values.items()]
        if metrics:
            self._client.log_batch(self.run_id, metrics=metrics)
            self._epochs_logged = len(history)

    def log_figure(self, figure: Figure, name: str) -> None:
        """Write a picture below the run's artifacts `figures/`."""
        self._client.log_figure(self.run_id, figure, f"figures/{name}")

    def log_outcome(self, metrics: Mapping[str, float], *, model_id: str, epochs: int) -> None:
        """Write those of the final metrics that the run does not have, and show all of the last epoch's on the model's page."""
        now = int(time.time() * 1000)
        known = self._client.get_run(self.run_id).data.metrics
        missing = [Metric(key, value, now, epochs) for key, value in metrics.items() if key not in known]
        self._client.log_batch(self.run_id, metrics=missing)
        points = [
            point
            for key in {*known, *metrics}
            for point in self._client.get_metric_history(self.run_id, key)
            if point.step == epochs
        ]
        # The same point once more, but with the model's id: MLflow keeps one for the run and adds one for the model.
        copies = [Metric(point.key, point.value, point.timestamp, point.step, model_id=model_id) for point in points]
        self._client.log_batch(self.run_id, metrics=copies)

    def set_model(self, model_id: str) -> str:
        """Note that the logged model is complete, and return its URI."""
        self.model_uri = f"models:/{model_id}"
        self._client.set_tag(self.run_id, MODEL_URI, self.model_uri)
        return self.model_uri

    def _last_step(self, metric: str) -> int:
        return max((point.step for point in self._client.get_metric_history(self.run_id, metric)), default=0)
