"""Generated secrets, as far as a rendering shows them; that an upgrade keeps them is tested on a cluster."""

import base64
import json

import pytest
from cryptography.fernet import Fernet

from helm.chart import pods


def _secrets(documents):
    return {
        (document["metadata"]["namespace"], document["metadata"]["name"]): {
            key: base64.b64decode(value).decode() for key, value in document["data"].items()
        }
        for document in documents
        if document["kind"] == "Secret"
    }


@pytest.fixture
def secrets(chart):
    return _secrets(chart.documents("everything"))


def test_airflow_gets_keys_it_can_use(secrets):
    keys = secrets["ml", "headrace-airflow"]
    Fernet(keys["fernet-key"])
    assert len(keys["jwt-secret"]) >= 64, "RFC 7518, section 3.2: as long as HMAC-SHA-512's output"


def test_every_user_gets_a_password(secrets):
    passwords = json.loads(secrets["ml", "headrace-airflow"]["passwords.json"])
    assert passwords.keys() == {"admin", "ada"}
    assert all(len(password) >= 24 for password in passwords.values())


def test_no_two_generated_values_are_equal(secrets):
    values = [
        value
        for (namespace, _), data in secrets.items()
        if namespace == "ml"
        for key, value in data.items()
        if "ACCESS_KEY" not in key
    ]
    assert len(values) == len(set(values))


def test_jobs_in_a_namespace_of_their_own_have_the_keys_of_their_account_and_no_others(secrets):
    assert {name for namespace, name in secrets if namespace == "ml-jobs"} == {"headrace-jobs"}
    assert secrets["ml-jobs", "headrace-jobs"] == secrets["ml", "headrace-jobs"]


def test_existing_secrets_are_used_and_none_is_generated(chart):
    documents = chart.documents("external")
    assert _secrets(documents) == {}
    used = {
        variable["valueFrom"]["secretKeyRef"]["name"]
        for _, template in pods(documents)
        for container in template["spec"]["containers"]
        for variable in container.get("env", [])
        if "secretKeyRef" in variable.get("valueFrom", {})
    }
    assert used == {"airflow-keys", "mlflow-keys", "databases", "s3-platform", "s3-mlflow", "s3-logs"}


def test_what_outlives_a_release_keeps_its_keys(chart):
    def kept(value_set):
        return {
            document["metadata"].get("annotations", {}).get("helm.sh/resource-policy")
            for document in chart.documents(value_set)
            if document["kind"] == "Secret"
        }

    assert kept("default") == {"keep"}
    assert kept("everything") == {None}
