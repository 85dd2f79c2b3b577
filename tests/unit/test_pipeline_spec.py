"""What a pipeline's author writes is checked when it is read, and a run's parameters when it starts."""

from pathlib import Path

import pytest
import yaml

from builders import dataset_version, pipeline
from headrace.errors import InvalidSpecError, NotFoundError
from headrace.specs.pipeline import RunRequest, load_pipeline

FASHION = Path(__file__).parents[2] / "dags" / "fashion_mnist.yaml"


def _changed(tmp_path, change):
    content = yaml.safe_load(FASHION.read_text())
    change(content)
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_shipped_pipeline_is_valid_and_knows_its_folder():
    spec = load_pipeline(FASHION)
    assert list(spec.members) == ["cnn", "cnn_batch_norm", "cnn_dropout"]
    assert spec.dataset.freshness.days == 14
    assert spec.folder == FASHION.parent


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.update(colour="red"), "`colour`"),
        (lambda c: c["training"].update(epoch=3), "`training.epoch`"),
        (lambda c: c["dataset"].pop("classes"), "`dataset.classes`"),
        (lambda c: c["dataset"].update(freshness="a fortnight"), "`dataset.freshness`"),
        (lambda c: c["members"]["cnn"].update(architecture="resnet"), "`members.cnn.architecture`"),
        (lambda c: c["ensemble"].update(size=4), "only 3 members"),
        (lambda c: c["ensemble"].update(minimum=3), "minimum is 3, but size is 2"),
        (lambda c: c["ensemble"].update(approval="perhaps"), "`ensemble.approval`"),
        (lambda c: c["ensemble"].update(approval_within="PT0S"), "`ensemble.approval_within`"),
        (lambda c: c["ensemble"].update(name="Not A Label"), "`ensemble.name`"),
        (lambda c: c["ensemble"].update(canary="100%"), "`ensemble.canary.share`"),
        (lambda c: c["ensemble"].update(canary={"share": "10%", "latency": 2}), "`ensemble.canary.latency`"),
        (lambda c: c["ensemble"].update(autoscaling={"max_replicas": 1}), "max_replicas is 1, but replicas is 2"),
        (lambda c: c["ensemble"].update(request_log={"url": "log.ml"}), "`ensemble.request_log.url`"),
    ],
)
def test_a_bad_spec_names_file_and_key(tmp_path, change, says):
    path = _changed(tmp_path, change)
    with pytest.raises(InvalidSpecError) as refused:
        load_pipeline(path)
    assert says in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_spec_that_is_no_yaml_or_no_mapping_is_refused(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("a: [1,\n")
    with pytest.raises(InvalidSpecError, match="not YAML"):
        load_pipeline(path)
    path.write_text("- a list\n")
    with pytest.raises(InvalidSpecError, match="not a mapping"):
        load_pipeline(path)
    with pytest.raises(NotFoundError, match="does not exist"):
        load_pipeline(tmp_path / "absent.yaml")


def test_a_run_without_choices_asks_for_what_the_spec_says():
    spec = pipeline()
    request = RunRequest.parse(spec, RunRequest.defaults(spec).model_dump())
    assert request.members == ("first", "second", "third")
    assert request.ensemble_size == 2
    assert not request.force_refresh


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"epochs": 0}, "`epochs`"),
        ({"workers": "many"}, "`workers`"),
        ({"members": []}, "`members`"),
        ({"members": ["fourth"]}, "no member `fourth`"),
        ({"members": ["first"], "ensemble_size": 2}, "ensemble of 2 cannot be made of 1"),
        ({"epoch": 3}, "`epoch`"),
    ],
)
def test_a_bad_choice_is_refused_before_anything_runs(choice, says):
    spec = pipeline()
    with pytest.raises((InvalidSpecError, NotFoundError), match=says):
        RunRequest.parse(spec, RunRequest.defaults(spec).model_dump() | choice)


def test_a_job_takes_the_runs_choices_over_the_specs():
    spec = pipeline()
    request = RunRequest.parse(spec, RunRequest.defaults(spec).model_dump() | {"epochs": 7, "workers": 3})
    job = request.job(spec, "second", run="r1", dataset=dataset_version())
    assert (job.training.epochs, job.training.workers) == (7, 3)
    assert job.prefix == "runs/shoes/r1/train.second/"
    assert job.model == "shoes"
