"""The sample pipeline on a running embedded stack, as end-to-end tests and benchmarks talk to it."""

import sys

import psutil
from mlflow.tracking import MlflowClient

from headrace.bootstrap import Platform
from headrace.errors import NotFoundError
from headrace.specs.deployment import last_live
from headrace.specs.pipeline import load_pipeline
from headrace.specs.step import run_name
from trickle import Trickle
from waiting import wait_for

RUN_WITHIN_SECONDS = 420
PIPELINE = "fashion_mnist"
MODEL = "fashion-mnist"
_BLANK = [[0] * 28] * 28


class PipelineWorld:
    """The running stack, as the tests talk to it."""

    def __init__(self, settings):
        self.platform = Platform(settings)
        self.settings = settings
        self.spec = load_pipeline(settings.project / "dags" / f"{PIPELINE}.yaml")
        self.mlflow = MlflowClient(tracking_uri=settings.tracking(), registry_uri=settings.tracking())

    def trigger(self, **parameters):
        return self.platform.orchestrator.trigger(PIPELINE, parameters).run_id

    def finish(self, run_id, within=RUN_WITHIN_SECONDS):
        """Wait until the run ends; return its tasks by id."""
        wait_for(lambda: self.platform.orchestrator.run(PIPELINE, run_id).ended, within, f"run {run_id} ends")
        tasks = {task.task_id: task for task in self.platform.orchestrator.tasks(PIPELINE, run_id)}
        failed = [task for task in tasks.values() if task.state == "failed"]
        for task in failed:
            sys.stdout.write(f"{task.task_id}\n" + "\n".join(self.log(run_id, task)[-40:]))
        return self.platform.orchestrator.run(PIPELINE, run_id).state, tasks

    def task(self, run_id, task_id):
        return next(task for task in self.platform.orchestrator.tasks(PIPELINE, run_id) if task.task_id == task_id)

    def log(self, run_id, task, attempt=None):
        return self.platform.orchestrator.log(PIPELINE, run_id, task.task_id, attempt or task.attempt)

    def result(self, run_id, task_id, key="return_value"):
        return self.platform.orchestrator.result(PIPELINE, run_id, task_id, key)

    def runs(self, run_id):
        """The MLflow runs of one run of the pipeline, by member."""
        experiment = self.mlflow.get_experiment_by_name(PIPELINE)
        found = self.mlflow.search_runs([experiment.experiment_id]) if experiment else []
        prefix = f"{PIPELINE}/{run_name(run_id)}/"
        return [run for run in found if run.data.tags.get("headrace.key", "").startswith(prefix)]

    def events(self):
        """The dataset's asset events, newest first."""
        reply = self.platform.orchestrator._call(
            "GET", "/assets/events", what="asset events", params={"order_by": "-timestamp", "limit": 20}
        )
        return [event for event in reply["asset_events"] if event["uri"] == "headrace://datasets/fashion-mnist"]

    def progress(self, run_id, member):
        key = f"runs/{PIPELINE}/{run_name(run_id)}/train.{member}/progress.json"
        found = list(self.platform.store.list(key))
        return self.platform.store.get_bytes(key) if found else b""

    def history(self):
        """Of what serves, oldest first."""
        return self.platform.history.deployments(self.spec.ensemble.name)

    def serving(self):
        """The revision that serves."""
        return last_live(self.history())

    def endpoint(self):
        return self.platform.serving.endpoint(self.settings.namespace, self.spec.ensemble.name)

    def trickle(self, callers=1, pause=0.05):
        """Predictions until the end of the block."""
        return Trickle(self.endpoint(), image=_BLANK, callers=callers, pause=pause)

    def answering(self, images):
        """The versions that answer now, in the slots' order; none while nothing serves."""
        try:
            votes = self.predict(images)["meta"]["tags"]["votes"]
        except NotFoundError:
            return []
        return [int(vote["version"]) for vote in votes]

    def predict(self, images):
        return self.platform.serving.predict(
            self.settings.namespace, self.spec.ensemble.name, {"data": {"ndarray": images.tolist()}}
        )


def workers_of(world, rank=None):
    """The training workers' processes of this stack, by their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            arguments = process.cmdline()
        except psutil.Error:
            continue
        mine = environment.get("HEADRACE_HOME") == str(world.settings.home) and arguments[1:3] == ["-m", "headrace.training"]
        if mine and (rank is None or f'"index": {rank}' in environment.get("TF_CONFIG", "")):
            found.append(process)
    return found


def walk(client, run_id, path=None):
    for item in client.list_artifacts(run_id, path):
        if item.is_dir:
            yield from walk(client, run_id, item.path)
        else:
            yield item
