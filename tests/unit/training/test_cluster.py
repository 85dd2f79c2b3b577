"""Who a worker is, as its environment says."""

import json

import pytest

from headrace.errors import InvalidSpecError
from headrace.render.tf_config import render_tf_config
from headrace.training.cluster import Cluster, read_cluster

HOSTS = ("a:1", "b:2")


def test_tf_config_is_read_as_it_is_rendered():
    environment = {"TF_CONFIG": json.dumps(render_tf_config(HOSTS, 1))}
    assert read_cluster(environment) == Cluster(1, HOSTS)
    assert not read_cluster(environment).is_chief


def test_a_pod_finds_its_rank_in_its_index():
    cluster = read_cluster({"HEADRACE_WORKER_HOSTS": "a:1,b:2", "JOB_COMPLETION_INDEX": "0"})
    assert cluster == Cluster(0, HOSTS)
    assert cluster.is_chief


def test_a_lone_worker_is_its_own_chief():
    assert read_cluster({}).workers == 1
    assert read_cluster({}).is_chief


@pytest.mark.parametrize(
    "environment",
    [
        {"TF_CONFIG": "no json"},
        {"TF_CONFIG": "{}"},
        {"TF_CONFIG": json.dumps(render_tf_config(HOSTS, 2))},
        {"HEADRACE_WORKER_HOSTS": "a:1,b:2"},
        {"HEADRACE_WORKER_HOSTS": "a:1,b:2", "JOB_COMPLETION_INDEX": "2"},
    ],
)
def test_what_cannot_be_a_cluster_is_refused(environment):
    with pytest.raises(InvalidSpecError):
        read_cluster(environment)
