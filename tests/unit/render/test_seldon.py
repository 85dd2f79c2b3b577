"""An ensemble as a SeldonDeployment, compared whole."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from golden import assert_golden
from headrace.errors import InvalidSpecError
from headrace.render.seldon import (
    ClusterTarget,
    ServingTarget,
    canary_members_of,
    document_digest,
    members_of,
    render_canary,
    render_deployment,
)
from headrace.render.seldon.marks import MARK
from headrace.serving.engine.document import parse
from headrace.specs.canary import CanarySpec
from headrace.specs.serving import Autoscaling, EnsembleSpec, NodeResources, RequestLog, SlotMember

GOLDEN = Path(__file__).parent / "golden"
TARGET = ServingTarget(namespace="ml")
CLUSTER = TARGET.model_copy(
    update={
        "cluster": ClusterTarget(
            store={"HEADRACE_MINIO__ENDPOINT": "headrace-minio:9000", "HEADRACE_MINIO__SECURE": "false"},
            secrets=("headrace-serving",),
            priority_class="headrace-serving",
        )
    }
)
EVERYTHING = {
    "resources": NodeResources(cpu="500m", memory="1Gi"),
    "executor_resources": NodeResources(cpu="250m", memory="256Mi"),
    "autoscaling": Autoscaling(max_replicas=6, cpu_percent=60),
    "max_unavailable": 1,
    "request_log": RequestLog(url="http://request-log.ml/"),
}


def _members(count, root="/models/"):
    return [
        SlotMember(
            slot=slot,
            model="fashion-mnist",
            version=slot + 6,
            run_id=f"{slot:032x}",
            location=f"{root}fashion-mnist/{slot + 6}/",
            digest=f"{slot:064x}",
        )
        for slot in range(1, count + 1)
    ]


def _text(document):
    """As YAML without anchors."""
    return yaml.safe_dump(json.loads(json.dumps(document)), sort_keys=False)


@pytest.mark.parametrize(("name", "count", "replicas"), [("ensemble-of-two", 2, 2), ("single-model", 1, 1)])
def test_the_whole_document(name, count, replicas):
    ensemble = EnsembleSpec(name="fashion-mnist", model="fashion-mnist", replicas=replicas)
    document = render_deployment(ensemble, _members(count), TARGET)
    assert_golden(GOLDEN / f"seldon-{name}.yaml", _text(document))


@pytest.mark.parametrize(("name", "options"), [("cluster", {}), ("cluster-with-everything", EVERYTHING)])
def test_the_whole_document_for_a_cluster(name, options):
    document = render_deployment(_ensemble(**options), _published(2), CLUSTER)
    assert_golden(GOLDEN / f"seldon-{name}.yaml", _text(document))


@pytest.mark.parametrize("mode", ["canary", "shadow"])
@pytest.mark.parametrize("place", ["embedded", "cluster"])
def test_the_whole_document_of_a_canary(mode, place):
    members, target = {"embedded": (_members, TARGET), "cluster": (_published, CLUSTER)}[place]
    document = _canary(mode, members(1), members(2), target, **({"max_unavailable": 1} if place == "cluster" else {}))
    assert_golden(GOLDEN / f"seldon-{mode}-{place}.yaml", _text(document))


def _canary(mode, former, new, target, *, share=0.1, **options):
    later = [member.model_copy(update={"version": member.version + 10}) for member in new]
    return render_canary(_ensemble(**options), CanarySpec(share=share, mode=mode), former, later, target)


@pytest.mark.parametrize("mode", ["canary", "shadow"])
def test_a_canary_tells_whom_it_serves_beside_and_its_names_do_not_collide(mode):
    document = _canary(mode, _published(2), _published(2), CLUSTER)
    assert members_of(document) == tuple(_published(2))
    assert [member.version for member in canary_members_of(document)] == [17, 18]
    assert canary_members_of(render_deployment(_ensemble(), _published(2), CLUSTER)) == ()
    names = [node.name for node in parse(document, namespace="ml", name="fashion-mnist").nodes]
    assert names == ["combiner", "slot-1", "slot-2", "new-combiner", "new-slot-1", "new-slot-2"]


@pytest.mark.parametrize("mode", ["canary", "shadow"])
def test_what_serves_keeps_its_components_places_and_pods_beside_a_canary(mode):
    alone = render_deployment(_ensemble(), _published(2), CLUSTER)
    both = _canary(mode, _published(2), _published(2), CLUSTER)
    before, after = (document["spec"]["predictors"][0]["componentSpecs"] for document in (alone, both))
    assert after[1:3] == before[1:]
    assert after[0]["spec"] == before[0]["spec"], "but for its mark: the executor beside it learns the new graph"
    assert (after[0]["metadata"] == before[0]["metadata"]) == (mode == "shadow")


def test_the_share_is_the_second_child_s():
    document = _canary("canary", _members(1), _members(1), TARGET, share=0.25)
    deployment = parse(document, namespace="ml", name="fashion-mnist")
    assert [child.name for child in deployment.root.children] == ["combiner", "new-combiner"]
    assert deployment.root.ratio == 0.75
    assert deployment.tells_routes
    shadow = parse(_canary("shadow", _members(1), _members(1), TARGET, share=0.25), namespace="ml", name="fashion-mnist")
    assert (shadow.root.name, shadow.shadow.root.name, shadow.shadow.share) == ("combiner", "new-combiner", 0.25)


def test_the_router_is_one_that_seldon_s_executor_draws_lots_for_itself():
    root = _canary("canary", _members(1), _members(1), TARGET)["spec"]["predictors"][0]["graph"]
    assert "type" not in root, "it would ask a container"
    assert root["parameters"] == [{"name": "ratioA", "type": "FLOAT", "value": "0.9"}], "another one, and it takes a half"


def test_a_shadow_is_refused_where_seldon_would_run_it():
    with pytest.raises(InvalidSpecError, match="no shadow without a service mesh"):
        _canary("shadow", _published(1), _published(1), CLUSTER.model_copy(update={"mirrors": False}))
    assert _canary("canary", _published(1), _published(1), CLUSTER.model_copy(update={"mirrors": False}))


def test_the_engine_runs_the_document_for_a_cluster_as_well():
    document = render_deployment(_ensemble(), _published(2), CLUSTER)
    deployment = parse(document, namespace="ml", name="fashion-mnist")
    assert [node.name for node in deployment.root.walk()] == ["combiner", "slot-1", "slot-2"]


def test_a_model_in_a_folder_cannot_be_served_by_pods():
    with pytest.raises(InvalidSpecError, match="HEADRACE_STORE=minio"):
        render_deployment(_ensemble(), _members(2), CLUSTER)


def test_marks_change_with_what_the_pods_are_made_from_and_with_nothing_else():
    before = _marks(render_deployment(_ensemble(), _published(2), CLUSTER))
    first, second = _published(2)
    other_model = [first, second.model_copy(update={"version": 12})]
    more = _ensemble(replicas=3)
    assert _changed(before, _marks(render_deployment(_ensemble(), other_model, CLUSTER))) == {"combiner", "slot-2"}
    assert _changed(before, _marks(render_deployment(more, _published(2), CLUSTER))) == {"combiner"}
    assert _changed(before, _marks(render_deployment(_ensemble(), _published(2), CLUSTER, name="preview"))) == set(before)
    assert not _changed(before, _marks(render_deployment(_ensemble(), _published(2), CLUSTER)))


def _ensemble(**options):
    return EnsembleSpec(name="fashion-mnist", model="fashion-mnist", **{"replicas": 2, **options})


def _published(count):
    return _members(count, root="s3://headrace/models/")


def _marks(document):
    components = document["spec"]["predictors"][0]["componentSpecs"]
    return {each["spec"]["containers"][0]["name"]: each["metadata"]["annotations"][MARK] for each in components}


def _changed(before, after):
    return {name for name in before if before[name] != after[name]}


def test_weights_are_the_combiner_s_in_the_order_of_its_children_and_equal_ones_are_not_spoken_of():
    ensemble = EnsembleSpec(name="e", model="m")
    plain = render_deployment(ensemble, _members(3), TARGET)
    weighted = render_deployment(ensemble, _weighted(2.0, 1.0, 0.5), TARGET)
    root = weighted["spec"]["predictors"][0]["graph"]
    assert root["parameters"] == [{"name": "weights", "type": "STRING", "value": "[2.0, 1.0, 0.5]"}]
    assert [child["name"] for child in root["children"]] == ["slot-1", "slot-2", "slot-3"]
    assert document_digest(weighted) != document_digest(plain)
    assert document_digest(render_deployment(ensemble, _weighted(3.0, 3.0, 3.0), TARGET)) == document_digest(plain)


def test_other_weights_start_the_combiner_anew_and_no_model():
    before = _marks(render_deployment(_ensemble(), _published(2), CLUSTER))
    first, second = _published(2)
    weighted = [first.model_copy(update={"weight": 2.0}), second]
    assert _changed(before, _marks(render_deployment(_ensemble(), weighted, CLUSTER))) == {"combiner"}


def _weighted(*weights):
    return [member.model_copy(update={"weight": weight}) for member, weight in zip(_members(len(weights)), weights, strict=True)]


def test_members_survive_the_rendering():
    document = render_deployment(EnsembleSpec(name="e", model="m"), _weighted(2.0, 1.0), TARGET)
    assert members_of(document) == tuple(_weighted(2.0, 1.0))
    del document["metadata"]["annotations"]
    assert members_of(document) == ()


def test_a_digest_tells_what_serves_and_nothing_else():
    ensemble = EnsembleSpec(name="e", model="m")
    document = render_deployment(ensemble, _members(2), TARGET)
    renamed = copy.deepcopy(document)
    renamed["metadata"]["labels"]["team"] = "blue"
    assert document_digest(renamed) == document_digest(document)
    assert document_digest(render_deployment(ensemble, _members(1), TARGET)) != document_digest(document)
    more = ensemble.model_copy(update={"replicas": 3})
    assert document_digest(render_deployment(more, _members(2), TARGET)) != document_digest(document)
