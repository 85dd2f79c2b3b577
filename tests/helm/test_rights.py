"""Who may do what: of the accounts in the chart, and of whoever installs it."""

import pytest
import yaml

from helm.chart import CHART, VALUE_SETS

CLUSTER_SCOPED = {"PriorityClass"}
RESOURCES = {"NetworkPolicy": "networkpolicies", "Ingress": "ingresses"}


@pytest.fixture(scope="module")
def allowed():
    """What the installer's rules allow, as (group, resource, verb)."""
    return set(_expanded(yaml.safe_load((CHART / "files" / "installer-rules.yaml").read_text())))


def _expanded(rules):
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                yield from ((group, resource, verb) for verb in rule["verbs"])


def _roles(documents):
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == "Role"}


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_the_installer_may_create_and_change_all_there_is(chart, allowed, value_set):
    for document in chart.documents(value_set):
        if document["kind"] in CLUSTER_SCOPED or document["kind"] == "ServiceMonitor":
            continue
        group = document["apiVersion"].rpartition("/")[0]
        resource = RESOURCES.get(document["kind"], f"{document['kind'].lower()}s")
        missing = {(group, resource, verb) for verb in ("create", "get", "patch", "update", "delete")} - allowed
        assert not missing


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_the_installer_has_all_rights_that_the_chart_gives(chart, allowed, value_set):
    given = {right for role in _roles(chart.documents(value_set)).values() for right in _expanded(role["rules"])}
    assert given <= allowed


@pytest.mark.parametrize("value_set", set(VALUE_SETS) - {"everything"})
def test_nothing_is_cluster_scoped_by_default(chart, value_set):
    assert all("namespace" in document["metadata"] for document in chart.documents(value_set))


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_nobody_is_given_secrets_or_everything(chart, value_set):
    for role in _roles(chart.documents(value_set)).values():
        for group, resource, verb in _expanded(role["rules"]):
            assert resource not in {"secrets", "*", "pods/exec", "roles", "rolebindings"}
            assert "*" not in {group, verb}


def test_the_accounts_of_jobs_and_of_quiet_components_have_no_rights(chart):
    subjects = {
        subject["name"]
        for document in chart.documents("everything")
        if document["kind"] == "RoleBinding"
        for subject in document["subjects"]
    }
    assert subjects == {"headrace-airflow-scheduler", "headrace-airflow-triggerer", "headrace-serving"}


def test_the_engine_only_reads_documents(chart):
    rights = set(_expanded(_roles(chart.documents())["headrace-serving"]["rules"]))
    assert rights == {("", "configmaps", verb) for verb in ("get", "list", "watch")}
