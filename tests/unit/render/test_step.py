"""A step's pod, compared whole."""

import json
from pathlib import Path
from types import SimpleNamespace

import kubernetes.client
import pytest
import yaml

from builders import dataset_version, pipeline
from golden import assert_golden
from headrace.errors import InvalidSpecError
from headrace.render.pod import unique_label, variables
from headrace.render.step import StepTarget, pod_name, render_step
from headrace.specs.dataset import DatasetSpec
from headrace.specs.pipeline import load_pipeline
from headrace.specs.step import ENVIRONMENT_KEY, EvaluateStep, IngestStep

GOLDEN = Path(__file__).parent / "golden"
TARGET = StepTarget(
    namespace="ml",
    image="headrace/airflow:0.1.0",
    service_account="headrace-jobs",
    priority_class="headrace-jobs",
    environment={"HEADRACE_STORE": "minio", "HEADRACE_MINIO__ENDPOINT": "headrace-minio:9000"},
    secrets=("headrace-jobs",),
)


def ingest(**dataset):
    spec = pipeline()
    changed = DatasetSpec.model_validate(spec.dataset.model_dump() | dataset)
    return IngestStep(pipeline=spec.model_copy(update={"dataset": changed}), run="manual__2026-11-21T11-00-00-00-00")


def test_an_ingestion_renders_as_reviewed():
    step = ingest(resources={"cpu": "2", "memory": "4Gi"}, timeout_minutes=30)
    manifest = render_step(step, TARGET)
    (container,) = manifest["spec"]["containers"]
    document = next(entry for entry in container["env"] if entry["name"] == ENVIRONMENT_KEY)
    document["value"] = "(the step, as JSON)"  # compared below; here it would change with every spec
    assert_golden(GOLDEN / "step-ingest.yaml", yaml.safe_dump(manifest, sort_keys=False))


@pytest.mark.parametrize("target", [TARGET, StepTarget(namespace="ml", image="headrace/airflow:0.1.0")])
def test_kubernetes_own_model_knows_every_field(target):
    manifest = render_step(ingest(), target)
    api = kubernetes.client.ApiClient()
    read = api.deserialize(SimpleNamespace(data=json.dumps(manifest)), "V1Pod")
    assert api.sanitize_for_serialization(read) == manifest


def test_the_step_in_the_pod_is_the_step():
    step = ingest()
    (container,) = render_step(step, TARGET)["spec"]["containers"]
    (document,) = [entry["value"] for entry in container["env"] if entry["name"] == ENVIRONMENT_KEY]
    assert IngestStep.model_validate_json(document) == step


def test_what_is_measured_of_two_members_at_once_are_two_pods_as_large_as_the_gate_says():
    gate = {"resources": {"cpu": "2", "memory": "3Gi"}, "timeout_minutes": 7}
    steps = [
        EvaluateStep(
            pipeline=pipeline(gate=gate), run="r1", member=member, model="shoes", version=version, champion=None,
            dataset=dataset_version(),
        )
        for version, member in enumerate(("first", "second"), start=1)
    ]  # fmt: skip
    assert len({pod_name(step) for step in steps}) == 2
    spec = render_step(steps[0], TARGET)["spec"]
    assert spec["containers"][0]["resources"]["limits"] == {"memory": "3Gi"}
    assert spec["activeDeadlineSeconds"] == 420


def test_the_name_belongs_to_the_dataset_whichever_run_ingests_it():
    step = ingest()
    assert pod_name(step) == pod_name(step.model_copy(update={"run": "another"}))
    assert pod_name(step) != pod_name(ingest(name="boots"))
    assert pod_name(step).startswith("ingest-shoes-")


@pytest.mark.parametrize("identity", ["a/" * 200, "ingest/fashion-mnist", "Ä_b/..", "x" * 62 + "-" + "y"])
def test_a_name_is_a_label_whatever_it_stands_for(identity):
    label = unique_label(identity, identity=identity)
    assert len(label) <= 63
    assert label == label.strip("-").lower()
    assert label.replace("-", "").isalnum()
    assert label.isascii()


def test_kubernetes_leaves_a_variable_as_it_is():
    assert variables({"B": "costs 5 $ or $(A), $$", "A": "1"}) == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "costs 5 $$ or $$(A), $$$$"},
    ]


def test_an_amount_that_kubernetes_would_not_know_is_refused(tmp_path):
    source = Path(__file__).parents[3] / "dags" / "fashion_mnist.yaml"
    content = yaml.safe_load(source.read_text())
    content["dataset"]["resources"] = {"memory": "1 GB"}
    path = tmp_path / "fashion_mnist.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InvalidSpecError, match=r"dataset\.resources\.memory"):
        load_pipeline(path)
