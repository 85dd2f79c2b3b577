"""The chief's reports: progress and checkpoints to the store, everything a person looks at to MLflow, the result last."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from mlflow.tracking import MlflowClient

from headrace.ports.store import ObjectStore
from headrace.specs.training import TrainingJob, TrainingResult
from headrace.training import description, plots
from headrace.training.checkpoint import Checkpoints
from headrace.training.data import Data
from headrace.training.evaluate import Evaluation, evaluate
from headrace.training.export import Exported, export, write_companions
from headrace.training.model_log import ModelLog, signature
from headrace.training.progress import ProgressReporter
from headrace.training.reporter import Arrays, History
from headrace.training.run_log import RunLog

log = logging.getLogger(__name__)


class Chief:
    """Implements `reporter.Reporter` for rank 0.

    Every effect may be repeated by a retried job. At an epoch's end the checkpoint comes before the metrics: after a crash
    between the two, the next try logs what the run lacks of the checkpoint's history. The result comes last of all.
    """

    def __init__(
        self, job: TrainingJob, *, run_id: str, store: ObjectStore, data: Data, checkpoints: Checkpoints, code: Mapping[str, str]
    ) -> None:
        self._job = job
        self._store = store
        self._data = data
        self._checkpoints = checkpoints
        self._code = code
        self._client = MlflowClient()
        self._run = RunLog(self._client, run_id)
        self._progress = ProgressReporter(store, job.progress_key)
        self._resumed_from = 0

    def started(self, *, parameters: int, batch_size: int, resumed_from: int, history: History) -> None:
        """Describe the run, and log what it lacks of the epochs that an earlier try finished."""
        self._resumed_from = resumed_from
        self._run.describe(
            params=description.params(self._job, parameters=parameters, batch_size=batch_size),
            tags={**self._job.tags, **self._code},
            note=description.note(self._job),
        )
        self._run.log_dataset(self._data.manifest, source=self._store.uri(self._job.dataset.location))
        self._run.log_epochs(history)
        rows, workers = len(self._data.train), self._job.training.workers
        log.info("training %s: %d images, %d worker(s), batches of %d", self._job.name, rows, workers, batch_size)

    def stepped(self, *, step: int, steps: int, images_per_second: float, history: History) -> None:
        """Put the progress."""
        self._progress.report(
            epoch=len(history),
            epochs=self._job.training.epochs,
            step=step,
            steps=steps,
            images_per_second=images_per_second,
            metrics=history[-1] if history else {},
        )

    def epoch_ended(self, *, history: History, state: Callable[[], Arrays]) -> None:
        """Put the checkpoint, log the metrics, and say that the next epoch (if any) begins."""
        self._checkpoints.save(epoch=len(history), history=history, arrays=state())
        self._run.log_epochs(history)
        self.stepped(step=0, steps=1, images_per_second=history[-1]["images_per_second"], history=history)

    def trained(self, *, history: History, weights: Arrays) -> None:
        """Export, evaluate on test, log models and pictures, put the result."""
        exported = export(self._job, weights, self._data)
        test = evaluate(exported.predict, self._data.test, classes=len(self._data.classes))
        metrics = _outcome(history, test, exported)
        log.info("validation accuracy %.4f, test accuracy %.4f", metrics["validation_accuracy"], metrics["test_accuracy"])
        self._log_pictures(history, test)
        uri = self._run.model_uri or self._log_models(exported)
        self._run.log_outcome(metrics, model_id=uri.removeprefix("models:/"), epochs=len(history))
        self._run.describe(params={}, tags={}, note=description.note(self._job, metrics))
        self._put_result(uri, metrics, epochs=len(history))

    def _log_pictures(self, history: History, test: Evaluation) -> None:
        self._run.log_figure(plots.learning_curve(history, title=f"{self._job.name}: learning curve"), "learning_curve.png")
        title = f"{self._job.name}: confusion on the test split, accuracy {test.accuracy:.2%}"
        self._run.log_figure(plots.confusion_matrix(test.confusion, self._data.classes, title=title), "confusion_matrix.png")

    def _log_models(self, exported: Exported) -> str:
        """Log both forms of the network; returns the URI of the ONNX one, which is registered later."""
        models = ModelLog(
            client=self._client,
            run_id=self._run.run_id,
            epochs=self._job.training.epochs,
            signature=signature(self._data.shape, len(self._data.classes)),
            example=exported.golden[:1],
        )

        def companions(folder: Path) -> None:
            write_companions(folder, exported, job=self._job, run_id=self._run.run_id, classes=self._data.classes)

        models.discard_leftovers()
        models.log_keras(exported.model)
        return self._run.set_model(models.log_onnx(exported.network, companions))

    def _put_result(self, uri: str, metrics: Mapping[str, float], *, epochs: int) -> None:
        result = TrainingResult(
            member=self._job.name,
            run_id=self._run.run_id,
            model_uri=uri,
            metrics=dict(metrics),
            epochs=epochs,
            resumed_from=self._resumed_from,
        )
        self._store.put_bytes(self._job.result_key, result.model_dump_json(indent=2).encode())


def _outcome(history: History, test: Evaluation, exported: Exported) -> dict[str, float]:
    """The final metrics: validation after the last epoch, test on the exported network, speed over all epochs."""
    last = history[-1]
    return {
        "validation_accuracy": last["validation_accuracy"],
        "validation_loss": last["validation_loss"],
        "test_accuracy": test.accuracy,
        "test_loss": test.loss,
        "images_per_second": len(history) / sum(1 / epoch["images_per_second"] for epoch in history),
        "onnx_parity": exported.parity,
    }
