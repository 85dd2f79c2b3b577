"""What holds for every pod the chart makes, whatever the values."""

import pytest

from helm.chart import VALUE_SETS, containers, pods

TOKENS = {"airflow-scheduler", "airflow-triggerer", "serving"}
"""The components that may ask the API server."""


@pytest.fixture(params=VALUE_SETS)
def templates(chart, request):
    return list(pods(chart.documents(request.param)))


def every_container(templates):
    return [(f"{name}/{container['name']}", container) for name, template in templates for container in containers(template)]


def component(template):
    return template["metadata"]["labels"]["app.kubernetes.io/component"]


def test_pods_meet_the_restricted_standard(templates):
    for name, template in templates:
        security = template["spec"]["securityContext"]
        assert security["runAsNonRoot"], name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & template["spec"].keys(), name
        kinds = {kind for volume in template["spec"]["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"configMap", "emptyDir", "projected", "secret"}, name


def test_containers_meet_the_restricted_standard(templates):
    for name, container in every_container(templates):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["readOnlyRootFilesystem"] is True, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name


def test_containers_reserve_what_they_need_and_cannot_take_all_memory(templates):
    for name, container in every_container(templates):
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name
        assert "memory" in container["resources"]["limits"], name


def test_scratch_volumes_are_bounded(templates):
    for name, template in templates:
        for volume in template["spec"]["volumes"]:
            assert "emptyDir" not in volume or volume["emptyDir"].get("sizeLimit"), f"{name}: {volume['name']}"


def test_every_mount_has_its_volume(templates):
    for name, template in templates:
        claimed = {"data"} if name.startswith("StatefulSet/") else set()
        volumes = {volume["name"] for volume in template["spec"]["volumes"]} | claimed
        mounted = {mount["name"] for container in containers(template) for mount in container["volumeMounts"]}
        assert mounted == volumes, name


def test_what_lives_on_is_probed(templates):
    for name, template in templates:
        for container in template["spec"]["containers"]:
            probes = {"startupProbe", "readinessProbe", "livenessProbe"} & container.keys()
            assert len(probes) == (0 if name.startswith("Job/") else 3), name


def test_images_are_pinned(templates):
    for name, container in every_container(templates):
        image, _, tag = container["image"].rpartition(":")
        assert image and tag not in {"", "latest"}, name
        assert container["imagePullPolicy"], name


def test_only_what_asks_the_api_server_has_a_token(templates):
    for name, template in templates:
        assert template["spec"]["automountServiceAccountToken"] is (component(template) in TOKENS), name
        assert template["spec"]["serviceAccountName"] != "default", name


def test_services_of_the_namespace_are_not_put_into_the_environment(templates):
    for name, template in templates:
        assert template["spec"]["enableServiceLinks"] is False, name


def test_secrets_are_no_plain_variables(templates):
    for name, container in every_container(templates):
        for variable in container.get("env", []):
            secret = any(word in variable["name"] for word in ("PASSWORD", "SECRET", "KEY", "PASSPHRASE"))
            assert not secret or "valueFrom" in variable, f"{name}: {variable['name']}"


def test_pods_of_a_component_spread_over_nodes(templates):
    for name, template in templates:
        spread = template["spec"]["topologySpreadConstraints"]
        assert {constraint["topologyKey"] for constraint in spread} >= {"kubernetes.io/hostname"}, name
        assert all(constraint["labelSelector"]["matchLabels"] for constraint in spread), name


def test_nothing_that_many_use_is_absent_during_an_upgrade(chart):
    for document in chart.documents():
        if document["kind"] == "Deployment":
            assert document["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0, document["metadata"]["name"]


def test_the_whole_platform_fits_a_small_node_beside_a_training_job(chart):
    # Two cores; a worker of the sample pipeline reserves 500m, and each rolling update starts one more pod.
    millicores = sum(
        int(container["resources"]["requests"]["cpu"].removesuffix("m")) * document["spec"].get("replicas", 1)
        for document in chart.documents()
        if document["kind"] in {"Deployment", "StatefulSet"}
        for container in document["spec"]["template"]["spec"]["containers"]
    )
    assert millicores + 2 * 500 <= 1900
