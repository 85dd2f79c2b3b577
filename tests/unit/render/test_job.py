"""A training job as Kubernetes objects, compared whole."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import kubernetes.client
import pytest
import yaml

from golden import assert_golden
from headrace.render.job import QUEUE_LABEL, JobTarget, cores, job_name, render_job, render_service, worker_hosts
from headrace.render.tf_config import render_tf_config
from headrace.specs.dataset import DatasetVersion, Split
from headrace.specs.training import Architecture, MemberSpec, Placement, Resources, Toleration, TrainingJob, TrainingSpec

GOLDEN = Path(__file__).parent / "golden"
TARGET = JobTarget(
    namespace="ml",
    image="headrace/trainer:0.1.0",
    environment={"MLFLOW_TRACKING_URI": "http://headrace-mlflow:5000"},
    secrets=("headrace-store",),
)


PLACEMENT = Placement(
    priority_class="research",
    queue="research-gpu",
    node_selector={"pool": "gpu"},
    tolerations=(Toleration(key="gpu", effect="NoSchedule"), Toleration(key="team", operator="Equal", value="vision")),
)


def _job(**training):
    return TrainingJob(
        pipeline="fashion_mnist",
        run="manual__2026-11-21T11-00-00-00-00",
        name="cnn_batch_norm",
        member=MemberSpec(architecture=Architecture.CNN_BATCH_NORM, description="With batch normalisation."),
        training=TrainingSpec(epochs=4, batch_size=256, learning_rate=0.003, **training),
        dataset=DatasetVersion(
            dataset="fashion-mnist",
            version="v1",
            location="datasets/fashion-mnist/v1/",
            digest="0" * 64,
            rows={Split.TRAIN: 55000, Split.VALIDATION: 5000, Split.TEST: 10000},
            created=datetime(2026, 11, 21, 11, tzinfo=UTC),
        ),
        model="fashion-mnist",
    )


def _documents(job, target=TARGET):
    return render_job(job, target, environment={"MLFLOW_RUN_ID": "run-1"}), render_service(job, target, uid="u-1")


@pytest.mark.parametrize(
    ("name", "training"),
    [
        ("two-workers", {"workers": 2}),
        ("one-worker-with-a-gpu", {"workers": 1, "resources": Resources(cpu="4", memory="8Gi", gpu=1)}),
        ("placed", {"workers": 2, "placement": PLACEMENT}),
    ],
)
def test_a_job_renders_as_reviewed(name, training):
    documents = _documents(_job(**training))
    assert_golden(GOLDEN / f"job-{name}.yaml", yaml.safe_dump_all(documents, sort_keys=False))


def test_a_pipelines_own_placement_wins_over_the_installations():
    target = dataclasses.replace(TARGET, priority_class="training", queue="everybody")
    job, _ = _documents(_job(), target)
    assert job["spec"]["template"]["spec"]["priorityClassName"] == "training"
    assert job["metadata"]["labels"][QUEUE_LABEL] == "everybody"
    job, _ = _documents(_job(placement=PLACEMENT), target)
    assert job["spec"]["template"]["spec"]["priorityClassName"] == "research"
    assert job["metadata"]["labels"][QUEUE_LABEL] == "research-gpu"


def test_tf_config_renders_as_reviewed():
    hosts = worker_hosts(_job(workers=2), TARGET)
    assert_golden(GOLDEN / "tf-config.yaml", yaml.safe_dump(render_tf_config(hosts, 1), sort_keys=False))


def test_a_name_is_a_label_whatever_the_job_is_called():
    job = _job().model_copy(update={"pipeline": "a_" * 31, "name": "B"})
    assert len(f"{job_name(job)}-15") <= 63
    assert job_name(job) == job_name(job)
    assert job_name(job) != job_name(job.model_copy(update={"run": "another"}))


@pytest.mark.parametrize(("quantity", "expected"), [("1", 1), ("2.5", 2), ("1500m", 1), ("250m", 1), ("4000m", 4)])
def test_cores_of_a_quantity(quantity, expected):
    assert cores(quantity) == expected


@pytest.mark.parametrize("workers", [1, 2])
def test_kubernetes_own_models_know_every_field(workers):
    job, service = _documents(_job(workers=workers, placement=PLACEMENT))
    api = kubernetes.client.ApiClient()
    for manifest, model in ((service, "V1Service"), (job, "V1Job")):
        read = api.deserialize(SimpleNamespace(data=json.dumps(manifest)), model)
        assert api.sanitize_for_serialization(read) == manifest
