"""Runs on an MLflow tracking server."""

from __future__ import annotations

from collections.abc import Mapping

from mlflow.tracking import MlflowClient

from headrace.adapters.mlflow.errors import translated
from headrace.adapters.mlflow.failure import FAILURE_TAG, failure_tags

KEY_TAG = "headrace.key"
_TRAINING_EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}
"""Makes MLflow's UI open the experiment at its training runs, not at the traces of a language model."""


class MlflowTracking:
    """Implements `ports.tracking.Tracking`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = MlflowClient(tracking_uri=url, registry_uri=url)

    def open_run(self, *, experiment: str, name: str, key: str, tags: Mapping[str, str]) -> str:
        """See the port. The key is kept as the tag `headrace.key`."""
        with translated(f"experiment {experiment}", where=self._url):
            experiment_id = self._experiment(experiment)
            found = self._client.search_runs([experiment_id], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
            if not found:
                run = self._client.create_run(experiment_id, run_name=name, tags={**tags, KEY_TAG: key})
                return str(run.info.run_id)
            run_id = str(found[0].info.run_id)
            self._client.update_run(run_id, status="RUNNING")
            if FAILURE_TAG in found[0].data.tags:
                self._client.delete_tag(run_id, FAILURE_TAG)
            return run_id

    def finish_run(self, run_id: str) -> None:
        """See the port."""
        with translated(f"run {run_id}", where=self._url):
            self._client.set_terminated(run_id, "FINISHED")

    def fail_run(self, run_id: str, reason: str) -> None:
        """See the port."""
        with translated(f"run {run_id}", where=self._url):
            for tag, value in failure_tags(reason).items():
                self._client.set_tag(run_id, tag, value)
            self._client.set_terminated(run_id, "FAILED")

    def log_page(self, run_id: str, path: str, html: str) -> str:
        """See the port. The link is to the page's place among the run's artifacts, in MLflow's own UI."""
        with translated(f"run {run_id}", where=self._url):
            self._client.log_text(run_id, html, path)
            experiment = self._client.get_run(run_id).info.experiment_id
        return f"#/experiments/{experiment}/runs/{run_id}/artifacts/{path}"

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name, tags=_TRAINING_EXPERIMENT))
        except Exception:
            # Another job may have created it between the two calls; if not, the first reason stands.
            found = self._client.get_experiment_by_name(name)
            if not found:
                raise
            return str(found.experiment_id)
