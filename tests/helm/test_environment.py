"""The plain variables of Airflow's components are settings that the platform and Airflow know."""

import os

import pytest
import yaml

from headrace.config import Backend, ServingBackendKind, load_settings
from headrace.stack.environment import headrace_environment
from helm.chart import VALUE_SETS, identity


def _variables(chart, value_set):
    documents = {identity(document): document for document in chart.documents(value_set)}
    return documents["ConfigMap", "ml", "headrace-airflow"]["data"]


@pytest.fixture
def settings_of(monkeypatch):
    """Reads settings from variables as a pod does, where there are no others."""

    def read(variables):
        for name in [name for name in os.environ if name.startswith("HEADRACE_")]:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            if name.startswith("HEADRACE_"):
                monkeypatch.setenv(name, value)
        return load_settings()

    return read


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_every_variable_is_a_setting_and_arrives_as_it_was_meant(chart, value_set, settings_of):
    variables = {name: value for name, value in _variables(chart, value_set).items() if name.startswith("HEADRACE_")}
    read = headrace_environment(settings_of(variables))
    assert {name: yaml.safe_load(read[name].lower()) for name in variables} == {
        name: yaml.safe_load(value.lower()) for name, value in variables.items()
    }


def test_pods_of_jobs_are_told_what_the_chart_made_for_them(chart, settings_of):
    documents = chart.documents("everything")
    names = {(document["kind"], document["metadata"]["name"]) for document in documents}
    settings = settings_of(_variables(chart, "everything"))
    kubernetes = settings.kubernetes
    assert (settings.backend, settings.serving_backend) == (Backend.KUBERNETES, ServingBackendKind.ENGINE)
    assert kubernetes.namespace == "ml-jobs"
    assert ("ServiceAccount", kubernetes.service_account) in names
    assert {("PriorityClass", kubernetes.priority_class), ("PriorityClass", kubernetes.serving_priority_class)} <= names
    assert ("Service", kubernetes.engine_service) in names
    assert {("Secret", name) for name in (*kubernetes.secrets, *kubernetes.serving_secrets)} <= names
    assert kubernetes.step_image == "registry.example/mirror/headrace/airflow:0.1.0"


def test_addresses_hold_in_the_namespace_of_jobs_too(chart, settings_of):
    settings = settings_of(_variables(chart, "everything"))
    for address in (settings.minio.endpoint, settings.tracking_url, settings.airflow_url, settings.serving_url):
        assert ".ml.svc:" in address


def test_a_setting_of_the_user_wins(chart):
    assert _variables(chart, "everything")["AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL"] == "60"
    assert _variables(chart, "everything")["AIRFLOW__API__INSTANCE_NAME"] == "Headrace"


def test_every_setting_of_airflow_exists(chart):
    from airflow.configuration import conf

    for name in _variables(chart, "default"):
        if name.startswith("AIRFLOW__"):
            _, section, key = name.lower().split("__")
            assert key in conf.configuration_description[section]["options"], name


def test_graphs_of_seldon_are_asked_at_their_own_services_where_there_is_no_gateway(chart, settings_of):
    settings = settings_of(_variables(chart, "seldon"))
    assert settings.serving_url == "http://istio-ingressgateway.istio-system.svc"
    documents = {identity(document): document for document in chart.documents("seldon", 'serving.url=""')}
    assert "HEADRACE_SERVING_URL" not in documents["ConfigMap", "ml", "headrace-airflow"]["data"]
    policy = documents["NetworkPolicy", "ml", "headrace-airflow-scheduler"]
    executors = {"podSelector": {"matchExpressions": [{"key": "seldon-deployment-id", "operator": "Exists"}]}}
    assert {"ports": [{"port": 8000, "protocol": "TCP"}], "to": [executors]} in policy["spec"]["egress"]
