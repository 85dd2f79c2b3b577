"""The schema and the templates refuse values that could not work, and say why."""

import json

import pytest
import yaml

from helm.chart import CHART


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("replicas=2", "'replicas' not allowed"),
        ('airflow={"schedulers": {}}', "'schedulers' not allowed"),
        ('airflow.scheduler={"replica": 2}', "'replica' not allowed"),
        ('airflow.trainingSlots="two"', "got string, want integer"),
        ("airflow.trainingSlots=0", "/airflow/trainingSlots"),
        ('airflow.users=[{"name": "ada", "role": "root"}]', "'viewer', 'user', 'op', 'admin'"),
        ("airflow.users=[]", "/airflow/users"),
        ('airflow.config={"PATH": "/tmp"}', "'^(AIRFLOW|HEADRACE)_'"),
        ("airflow.config={'AIRFLOW__CORE__PARALLELISM': 4}".replace("'", '"'), "got number, want string"),
        ('serving.backend="kserve"', "'engine', 'seldon'"),
        ('images.pullPolicy="always"', "'Always', 'IfNotPresent', 'Never'"),
        ('mlflow.resources.requests.memory="450 MB"', "/mlflow/resources/requests/memory"),
        ('mlflow.resources.limits={"memory": null}', "missing property 'memory'"),
        ('minio.persistence.size="20"', "/minio/persistence/size"),
        ('store.buckets.platform="No Bucket"', "/store/buckets/platform"),
        ('networkPolicies.apiServer.cidrs=["10.0.0.1"]', "/networkPolicies/apiServer/cidrs"),
        ("networkPolicies.external.cidrs=[]", "/networkPolicies/external/cidrs"),
        ("postgresql.enabled=false", "postgresql.external.host"),
        ("minio.enabled=false", "store.external.endpoint"),
        ('images.postgres.tag=""', "images.postgres.tag"),
    ],
)
def test_a_value_that_cannot_work_is_refused(chart, setting, complaint):
    done = chart.template("default", setting)
    assert done.returncode != 0
    assert complaint in done.stderr


@pytest.mark.parametrize("account", ["platform", "jobs", "serving", "mlflow", "logs"])
def test_an_external_store_needs_the_keys_of_every_account(chart, account):
    done = chart.template("external", f'store.existingSecrets.{account}=""')
    assert f"store.existingSecrets.{account}" in done.stderr


def _undescribed(schema, path=""):
    for name, each in schema.get("properties", {}).items():
        if not each.get("description", "").strip():
            yield f"{path}.{name}"
        yield from _undescribed(each, f"{path}.{name}")


def _paths(values, schema, path=()):
    for name, value in values.items():
        each = schema["properties"][name]
        yield (*path, name)
        if "properties" in each:
            yield from _paths(value, each, (*path, name))


def _schema_paths(schema, path=()):
    for name, each in schema.get("properties", {}).items():
        yield (*path, name)
        yield from _schema_paths(each, (*path, name))


def test_every_value_is_described_and_has_a_default():
    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    assert list(_undescribed(schema)) == []
    # terminationGracePeriodSeconds and the like have their default where they are read; `global` is another chart's.
    assert set(_schema_paths(schema)) - set(_paths(defaults, schema)) == {("global",)}
