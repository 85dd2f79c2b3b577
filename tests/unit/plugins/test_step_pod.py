"""The pod that the provider's operator asks for is the one that was rendered."""

from types import SimpleNamespace

import kubernetes.client
import pytest

from builders import dataset_version, pipeline
from headrace.bootstrap import Platform
from headrace.config import Settings
from headrace.render.step import render_step
from headrace.specs.step import IngestStep, PromoteStep
from headrace_airflow.pods.step import PodStepRunner, StepPod, step_target
from headrace_airflow.steps import runner_of

CONTEXT = {
    "ti": SimpleNamespace(dag_id="shoes", task_id="ingest", run_id="manual__1", map_index=-1, try_number=2),
    "run_id": "manual__1",
    "dag": SimpleNamespace(parent_dag=None),
}
STEP = IngestStep(pipeline=pipeline(), run="manual__1")


@pytest.fixture
def settings(tmp_path):
    kubernetes = {"namespace": "ml", "secrets": ["headrace-jobs"], "priority_class": "headrace-jobs"}
    return Settings(home=tmp_path, backend="kubernetes", store="minio", kubernetes=kubernetes)


def test_the_provider_changes_nothing_and_adds_the_tasks_labels(settings):
    pod = StepPod(step=STEP, settings=settings, context=CONTEXT)
    asked = kubernetes.client.ApiClient().sanitize_for_serialization(pod.pod_request_obj)
    rendered = render_step(STEP, step_target(settings))
    labels = asked["metadata"].pop("labels")
    assert rendered["metadata"].pop("labels").items() <= labels.items()
    assert (labels["dag_id"], labels["run_id"], labels["task_id"], labels["try_number"]) == ("shoes", "manual__1", "ingest", "2")
    (container,) = asked["spec"]["containers"]
    # The API server's own defaults, said aloud:
    assert (container.pop("terminationMessagePolicy"), asked["spec"].pop("hostNetwork")) == ("File", False)
    assert without_empty(asked) == without_empty(rendered)


def without_empty(document):
    """The document without empty lists and mappings, which the provider adds; `emptyDir: {}` means something."""
    if isinstance(document, dict):
        kept = {key: value if key == "emptyDir" else without_empty(value) for key, value in document.items()}
        return {key: value for key, value in kept.items() if value not in ({}, []) or key == "emptyDir"}
    return [without_empty(each) for each in document] if isinstance(document, list) else document


def test_the_pod_is_told_where_the_store_is_and_nothing_of_the_database(settings):
    told = step_target(settings.model_copy(update={"database_url": "postgresql://headrace:secret@db/headrace"})).environment
    assert told["HEADRACE_STORE"] == "minio"
    assert not any("secret" in value or "postgresql" in value for value in told.values())


def test_data_steps_run_in_pods_and_the_platforms_own_beside_the_scheduler(settings):
    promote = PromoteStep(pipeline=pipeline(), run="manual__1", candidates=(), dataset=dataset_version(), size=1, who="ada")
    platform = Platform(settings)
    assert isinstance(runner_of(STEP, platform, CONTEXT), PodStepRunner)
    assert runner_of(promote, platform, CONTEXT) is platform.steps
    embedded = Platform(settings.model_copy(update={"backend": "local"}))
    assert runner_of(STEP, embedded, CONTEXT) is embedded.steps
