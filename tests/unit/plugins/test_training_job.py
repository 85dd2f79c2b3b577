"""A member's training by Airflow on a cluster: one Job whatever dies around it, and none when a person has ended it."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import kubernetes.client
import pytest
from airflow.sdk.exceptions import AirflowTaskTerminated, TaskDeferralError, TaskDeferralTimeout, TaskDeferred

from builders import pipeline
from fakes import FakeStore, FixedClock
from fakes_promotion import FakeRegistry
from fakes_training import FakeLauncher, FakeRunEnding, FakeTracking
from fakes_worker_pods import FakeWorkerPods
from headrace import bootstrap
from headrace.config import Settings
from headrace.errors import ForbiddenError, TrainingFailedError, UnavailableError
from headrace.ports.worker_pods import JobPhase
from headrace.render.job import render_job
from headrace.specs.dataset import Split
from headrace.specs.pipeline import RunRequest
from headrace.specs.training import TrainingJob
from headrace.usecases.cluster_training.launch import stop
from headrace.usecases.train import TrainingRecords
from headrace_airflow.pods import outcome, training_trigger
from headrace_airflow.pods.training_job import TrainingJobPods
from headrace_airflow.pods.training_trigger import TrainingJobTrigger
from headrace_airflow.training import TrainingJobOperator
from training_data import write_version

SPEC = pipeline()
MEMBER = next(iter(SPEC.members))


class Installation(bootstrap.Platform):
    """A platform whose cluster, tracking server, registry and store are fakes."""

    def __init__(self):
        kubernetes = {"namespace": "ml", "secrets": ["headrace-jobs"]}
        super().__init__(Settings(backend="kubernetes", store="minio", kubernetes=kubernetes))
        self.cluster = FakeWorkerPods(FixedClock())
        self.tracking = FakeTracking()
        self.training_records = TrainingRecords(tracking=self.tracking, registry=FakeRegistry(), store=FakeStore())

    @asynccontextmanager
    async def worker_pods(self):
        yield self.cluster

    async def stop_training(self, job, *, run_id, owner, log):
        await stop(self.cluster, job, run_id=run_id, runs=FakeRunEnding(self.tracking), owner=owner, log=log)

    @property
    def job(self):
        (job,) = self.cluster.jobs.values()
        return job

    @property
    def run(self):
        (run,) = self.tracking.runs.values()
        return run


class Task:
    """One task of a run, tried as Airflow tries it."""

    def __init__(self, installation):
        self.installation = installation
        self.version = write_version(FakeStore(), rows={Split.TRAIN: 10, Split.VALIDATION: 5, Split.TEST: 5})
        self.tries = 0
        self.xcoms = {}

    def context(self):
        ti = SimpleNamespace(
            id=f"ti-{self.tries}",
            dag_id=SPEC.name,
            task_id=f"train_{MEMBER}",
            run_id="manual__1",
            map_index=-1,
            try_number=self.tries,
            xcom_push=lambda key, value: self.xcoms.update({key: value}),
        )
        params = RunRequest.defaults(SPEC).model_dump(mode="json")
        return {"ti": ti, "run_id": "manual__1", "dag": SimpleNamespace(parent_dag=None), "params": params}

    def operator(self):
        inputs = {"dataset": self.version.model_dump(mode="json")}
        return TrainingJobOperator(task_id=f"train_{MEMBER}", spec=SPEC, member=MEMBER, inputs=inputs)

    def execute(self):
        """A new try; returns its trigger."""
        self.tries += 1
        with pytest.raises(TaskDeferred) as deferred:
            self.operator().execute(self.context())
        assert deferred.value.method_name == "execute_complete"
        path, arguments = deferred.value.trigger.serialize()
        assert path == "headrace_airflow.pods.training_trigger.TrainingJobTrigger"
        return TrainingJobTrigger(**arguments)

    def complete(self, event):
        return self.operator().execute_complete(self.context(), event)

    def job(self):
        return TrainingJob.model_validate(self.execute().job)


@pytest.fixture
def installation(monkeypatch):
    installation = Installation()
    monkeypatch.setattr(bootstrap, "Platform", lambda: installation)
    monkeypatch.setattr(training_trigger, "Platform", lambda: installation)
    return installation


@pytest.fixture
def task(installation):
    return Task(installation)


def _leave_result(installation, job):
    FakeLauncher(installation.training_records.store).run(job, environment={"MLFLOW_RUN_ID": "run-1"}, log=print)


def test_a_first_try_creates_a_suspended_job_and_is_deferred(installation, task):
    trigger = task.execute()
    assert installation.job.state.phase is JobPhase.SUSPENDED
    assert installation.job.state.owner == trigger.owner == "ti-1"
    assert task.xcoms == {"job_name": next(iter(installation.cluster.jobs)), "job_namespace": "ml"}
    assert installation.run.state == "RUNNING"


def test_a_try_after_a_killed_worker_follows_the_same_job(installation, task):
    task.execute()
    uid = installation.job.state.uid
    assert task.execute().owner == installation.job.state.owner == "ti-2"
    assert installation.job.state.uid == uid
    assert len(installation.tracking.runs) == 1


def test_a_finished_job_becomes_a_candidate(installation, task):
    _leave_result(installation, task.job())
    assert task.complete(outcome.ended_well())["version"] == 1
    assert installation.run.state == "FINISHED"


def test_a_result_of_an_earlier_try_is_used_without_a_job(installation, task):
    _leave_result(installation, task.job())
    asyncio.run(installation.cluster.delete(next(iter(installation.cluster.jobs))))
    assert task.operator().execute(task.context())["version"] == 1
    assert not installation.cluster.jobs


def test_a_failed_job_fails_its_run_with_the_reason_and_is_removed(installation, task):
    task.execute()
    with pytest.raises(TrainingFailedError, match="worker 1 of 2 was deleted"):
        task.complete(outcome.failed(TrainingFailedError("worker 1 of 2 was deleted")))
    assert installation.run.state == "FAILED"
    assert "was deleted" in installation.run.failure
    assert not installation.cluster.jobs
    task.execute()
    assert installation.run.state == "RUNNING"
    assert len(installation.cluster.jobs) == 1


def test_a_job_that_cannot_be_asked_about_is_left_for_the_next_try(installation, task):
    task.execute()
    with pytest.raises(UnavailableError):
        task.complete(outcome.failed(UnavailableError("the API server does not answer")))
    assert installation.run.state == "FAILED"
    assert len(installation.cluster.jobs) == 1


def test_workers_that_leave_no_result_are_a_failure(installation, task):
    task.execute()
    with pytest.raises(TrainingFailedError, match="left no result"):
        task.complete(outcome.ended_well())
    assert not installation.cluster.jobs


@pytest.mark.parametrize(("reason", "error"), [("Trigger failure", TaskDeferralError), ("Trigger timeout", TaskDeferralTimeout)])
def test_a_trigger_that_cannot_be_run_or_runs_out_of_time_leaves_no_job_behind(installation, task, reason, error):
    task.execute()
    with pytest.raises(error):
        task.operator().resume_execution("__fail__", {"error": reason}, task.context())
    assert not installation.cluster.jobs
    assert installation.run.state == "FAILED"


def test_a_task_stopped_before_it_is_deferred_leaves_no_job_behind(installation, task, monkeypatch):
    def stopped(pods):
        asyncio.run(pods._launch())
        task.operator().on_kill()

    monkeypatch.setattr(TrainingJobPods, "launch", stopped)
    task.tries = 1
    with pytest.raises(AirflowTaskTerminated):
        task.operator().execute(task.context())
    assert not installation.cluster.jobs
    assert installation.run.failure.startswith("stopped")


def test_a_job_that_may_not_be_created_fails_its_run(installation, task, monkeypatch):
    async def forbidden(*_, **__):
        raise ForbiddenError("cannot create jobs")

    monkeypatch.setattr(installation.cluster, "create", forbidden)
    with pytest.raises(ForbiddenError):
        task.operator().execute(task.context())
    assert installation.run.state == "FAILED"
    assert installation.run.failure == "cannot create jobs"


def _kill(trigger, *, state, cancels=0):
    """What the triggerer does when the trigger's task waits for it no more; `state` is the task's then."""

    async def killed():
        kill = asyncio.create_task(trigger.on_kill())
        for _ in range(cancels):
            await asyncio.sleep(0)
            kill.cancel("user-action")
        await kill

    trigger.task_instance = SimpleNamespace(task_id="train", dag_id=SPEC.name, run_id="manual__1", map_index=-1)
    states = {"manual__1": {"train": state}} if state else {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_trigger.RuntimeTaskInstance, "get_task_states", lambda **_: states)
        asyncio.run(killed())


def test_a_kill_that_is_cancelled_at_every_heartbeat_is_done_all_the_same(installation, task):
    _kill(task.execute(), state="failed", cancels=3)
    assert not installation.cluster.jobs


@pytest.mark.parametrize("state", ["failed", "success", "queued", None])
def test_a_task_ended_or_cleared_while_deferred_or_whose_run_is_deleted_leaves_no_job(installation, task, state):
    _kill(task.execute(), state=state)
    assert not installation.cluster.jobs
    assert installation.run.state == "FAILED"
    assert installation.run.failure.startswith("stopped")


def test_a_job_that_another_triggerer_follows_is_left_alone(installation, task):
    _kill(task.execute(), state="deferred")
    assert installation.run.state == "RUNNING"
    assert len(installation.cluster.jobs) == 1


def test_a_job_that_a_later_try_has_taken_over_is_left_alone(installation, task):
    first = task.execute()
    task.execute()
    _kill(first, state="running")
    assert installation.run.state == "RUNNING"
    assert len(installation.cluster.jobs) == 1


def test_a_trigger_fires_with_the_reason_of_a_failure(installation, task):
    trigger = task.execute()
    asyncio.run(installation.cluster.delete(next(iter(installation.cluster.jobs))))

    async def events():
        return [event async for event in trigger.run()]

    (event,) = asyncio.run(events())
    with pytest.raises(TrainingFailedError, match="somebody deleted the job"):
        outcome.read_outcome(event.payload)


def test_the_provider_changes_nothing_and_adds_the_tasks_labels(installation, task):
    job = task.job()
    pods = TrainingJobPods(job=job, platform=installation, context=task.context())
    asked = pods.render({"MLFLOW_RUN_ID": "run-1"})
    rendered = render_job(job, installation.job_target, environment={"MLFLOW_RUN_ID": "run-1"})
    labels = asked["spec"]["template"]["metadata"].pop("labels")
    assert rendered["spec"]["template"]["metadata"].pop("labels").items() <= labels.items()
    assert (labels["dag_id"], labels["run_id"], labels["try_number"]) == (SPEC.name, "manual__1", "1")
    spec = asked["spec"]["template"]["spec"]
    # The API server's own defaults, said aloud:
    assert (spec["containers"][0].pop("terminationMessagePolicy"), spec.pop("hostNetwork")) == ("File", False)
    assert _without_empty(asked) == _without_empty(rendered)
    assert kubernetes.client.ApiClient().sanitize_for_serialization(asked) == asked


def _without_empty(document):
    if isinstance(document, dict):
        kept = {key: value if key == "emptyDir" else _without_empty(value) for key, value in document.items()}
        return {key: value for key, value in kept.items() if value not in ({}, []) or key == "emptyDir"}
    return [_without_empty(each) for each in document] if isinstance(document, list) else document
