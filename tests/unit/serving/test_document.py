"""SeldonDeployment documents: what the engine reads from them, and what it refuses to run."""

import copy
import json

import pytest

from headrace.render.seldon import ServingTarget, document_digest, render_deployment
from headrace.serving.engine.document import NodeType, parse
from headrace.serving.engine.errors import DocumentError
from headrace.specs.serving import EnsembleSpec, SlotMember


@pytest.fixture
def document():
    """What the platform renders: a combiner over two models, three replicas each."""
    members = [
        SlotMember(slot=slot, model="m", version=slot, run_id=f"run-{slot}", location=f"models/{slot}", digest="0" * 64)
        for slot in (1, 2)
    ]
    return render_deployment(EnsembleSpec(name="graph", model="m", replicas=3), members, ServingTarget(namespace="space"))


def read(document):
    return parse(document, namespace="space", name="graph")


def test_a_rendered_document_is_read_whole(document):
    deployment = read(document)
    assert deployment.key == ("space", "graph")
    assert deployment.timeout == 10
    assert [(node.name, node.type, node.replicas) for node in deployment.root.walk()] == [
        ("combiner", NodeType.COMBINER, 3),
        ("slot-1", NodeType.MODEL, 3),
        ("slot-2", NodeType.MODEL, 3),
    ]
    model = deployment.root.children[1]
    assert model.environment["MODEL_NAME"] == "headrace.serving.onnx_model.OnnxModel"
    assert {"name": "model_path", "type": "STRING", "value": "models/2"} in json.loads(model.parameters)
    assert deployment.source == document


def test_the_digest_is_the_spec_s_and_the_platform_computes_the_same(document):
    before = read(document).digest
    assert before == document_digest(document)
    document["metadata"]["labels"] = {"changed": "yes"}
    assert read(document).digest == before
    predictor(document)["componentSpecs"][0]["replicas"] = 1
    assert read(document).digest != before


def test_what_is_left_out_gets_seldon_s_defaults(document):
    for component in predictor(document)["componentSpecs"]:
        del component["replicas"]
    predictor(document)["replicas"] = 2
    container(document)["env"] = [{"name": "MODEL_NAME", "value": "module.Class"}]
    del document["metadata"]["annotations"], document["metadata"]["namespace"], document["metadata"]["name"]
    deployment = read(document)
    assert {node.replicas for node in deployment.root.walk()} == {2}
    assert deployment.root.environment == {"MODEL_NAME": "module.Class", "SERVICE_TYPE": "COMBINER"}
    assert deployment.timeout == 10
    assert deployment.source["metadata"]["name"] == "graph"


def test_the_time_out_is_read_where_seldon_reads_it(document):
    document["spec"]["annotations"] = {"seldon.io/rest-timeout": "250"}
    assert read(document).timeout == 0.25


def test_what_only_a_cluster_can_give_is_let_through(document):
    container(document).update(resources={"limits": {"cpu": "1"}}, readinessProbe={"httpGet": {"path": "/health/status"}})
    predictor(document)["componentSpecs"][0]["spec"]["nodeSelector"] = {"disk": "fast"}
    predictor(document)["traffic"] = 100
    read(document)


def test_init_containers_are_commands_in_order_a_sequence_for_each_component(document):
    prepare(
        document,
        {
            "name": "fetch-model",
            "image": "headrace/serving:0.1.0",
            "command": ["python", "-m", "fetch"],
            "args": ["--all"],
            "env": [{"name": "A", "value": "$$1"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "envFrom": [{"secretRef": {"name": "store"}}],
            "volumeMounts": [{"name": "models", "mountPath": "/models"}],
        },
        {"name": "second", "command": ["true"]},
    )
    (sequence,) = read(document).preparations
    assert [(each.component, each.name) for each in sequence] == [("combiner", "fetch-model"), ("combiner", "second")]
    assert sequence[0].command == ("python", "-m", "fetch", "--all")
    assert (sequence[0].environment, sequence[0].inherited) == ({"A": "$1"}, {"KEY"})


def prepare(document, *init_containers):
    predictor(document)["componentSpecs"][0]["spec"]["initContainers"] = list(init_containers)


def predictor(document):
    return document["spec"]["predictors"][0]


def container(document):
    return predictor(document)["componentSpecs"][0]["spec"]["containers"][0]


def child(document):
    return predictor(document)["graph"]["children"][0]


def route(document, **changes):
    """Put a router, that draws lots between the combiner and a model, over the document's graph."""
    other = {"name": "other", "type": "MODEL"}
    spec = copy.deepcopy(predictor(document)["componentSpecs"][1])
    spec["spec"]["containers"][0]["name"] = "other"
    predictor(document)["componentSpecs"].append(spec)
    router = {"name": "lots", "implementation": "RANDOM_ABTEST", "children": [predictor(document)["graph"], other]}
    predictor(document)["graph"] = {**router, **changes}


def shadow(document, **changes):
    """Give the document a shadow of one model."""
    spec = copy.deepcopy(predictor(document)["componentSpecs"][1])
    spec["spec"]["containers"][0]["name"] = "other"
    mirror = {"name": "shadow", "shadow": True, "graph": {"name": "other"}, "componentSpecs": [spec]}
    document["spec"]["predictors"].append({**mirror, **changes})


@pytest.mark.parametrize(
    ("parameters", "ratio"),
    [
        ([{"name": "ratioA", "type": "FLOAT", "value": "0.9"}], 0.9),
        ([], 0.5),
        ([{"name": "ratio", "type": "FLOAT", "value": "0.9"}], 0.5),
        ([{"name": "ratioA", "type": "FLOAT", "value": "0.9"}, {"name": "seed", "type": "INT", "value": "1"}], 0.5),
    ],
)
def test_a_random_router_is_no_process_and_its_ratio_is_read_as_the_executor_does(document, parameters, ratio):
    route(document, parameters=parameters)
    deployment = read(document)
    assert (deployment.root.type, deployment.root.ratio) == (NodeType.ROUTER, ratio)
    assert [node.name for node in deployment.nodes] == ["combiner", "slot-1", "slot-2", "other"]
    assert not deployment.tells_routes


def test_a_shadow_is_a_second_graph_and_its_share_is_seldon_s_traffic(document):
    assert read(document).shadow is None
    shadow(document, traffic=20)
    deployment = read(document)
    assert (deployment.root.name, deployment.shadow.root.name, deployment.shadow.share) == ("combiner", "other", 0.2)
    assert [node.name for node in deployment.nodes] == ["combiner", "slot-1", "slot-2", "other"]
    del document["spec"]["predictors"][1]["traffic"]
    assert read(document).shadow.share == 1.0


@pytest.mark.parametrize(("value", "tells"), [("true", True), ("no", True), ("", False)])
def test_routes_are_told_as_the_executor_s_variable_says(document, value, tells):
    predictor(document)["svcOrchSpec"] = {"env": [{"name": "SELDON_ENABLE_ROUTING_INJECTION", "value": value}]}
    assert read(document).tells_routes is tells


def test_a_node_runs_on_below_another_parent_and_not_with_other_arguments(document):
    before = read(document).root
    changed = copy.deepcopy(document)
    del child(changed)["parameters"][0]
    predictor(changed)["graph"]["children"].pop()
    after = read(changed).root
    assert after.runs_as(before)
    assert not after.children[0].runs_as(before.children[0])


REFUSED = {
    "a router with a type": (lambda d: route(d, type="ROUTER"), "`type` is not supported"),
    "a router of one": (lambda d: route(d, children=[predictor(d)["graph"]]), "between two children"),
    "a ratio in words": (lambda d: route(d, parameters=[{"name": "ratioA", "value": "half"}]), "`ratioA` is no number"),
    "two shadows": (lambda d: (shadow(d), shadow(d)), "at most one shadow"),
    "a shadow that answers": (lambda d: predictor(d).update(shadow=True), "`shadow` is not supported"),
    "a shadow's explainer": (lambda d: shadow(d, explainer={"type": "x"}), "`explainer` is not supported"),
    "a shadow of more than all": (lambda d: shadow(d, traffic=101), "from 1 to 100"),
    "a shadow named like what serves": (lambda d: shadow(d, graph={"name": "slot-1"}), "node names repeat"),
    "no spec": (lambda d: d.pop("spec"), "predictor"),
    "another kind": (lambda d: d.update(kind="Deployment"), "kind is `Deployment`"),
    "another name": (lambda d: d["metadata"].update(name="other"), "metadata.name is `other`"),
    "metadata that is text": (lambda d: d.update(metadata="x"), "`metadata` is no mapping"),
    "two predictors": (lambda d: d["spec"]["predictors"].append({}), "exactly one predictor"),
    "predictors that are text": (lambda d: d["spec"].update(predictors=["x"]), "no list of mappings"),
    "another protocol": (lambda d: d["spec"].update(protocol="v2"), "protocol `v2`"),
    "another transport": (lambda d: d["spec"].update(transport="grpc"), "transport `grpc`"),
    "an explainer": (lambda d: predictor(d).update(explainer={"type": "AnchorTabular"}), "`explainer` is not supported"),
    "replicas in words": (lambda d: predictor(d).update(replicas="two"), "`replicas` is 'two'"),
    "no replicas": (lambda d: predictor(d)["componentSpecs"][1].update(replicas=0), "from 1 to"),
    "far too many replicas": (lambda d: predictor(d).update(replicas=10**6), "from 1 to"),
    "autoscaling": (lambda d: predictor(d)["componentSpecs"][0].update(hpaSpec={"maxReplicas": 3}), "`hpaSpec`"),
    "an init container without a name": (lambda d: prepare(d, {"command": ["true"]}), "`name` is missing"),
    "an init container named like a path": (lambda d: prepare(d, {"name": "../up", "command": ["true"]}), "cannot be a name"),
    "an image's own command": (lambda d: prepare(d, {"name": "a", "image": "b"}), "`command` is missing"),
    "a command of numbers": (lambda d: prepare(d, {"name": "a", "command": [1]}), "no list of texts"),
    "a command to fill in": (lambda d: prepare(d, {"name": "a", "command": ["echo", "$(A)"]}), "refers to a variable"),
    "a sidecar": (lambda d: prepare(d, {"name": "a", "command": ["true"], "restartPolicy": "Always"}), "`restartPolicy`"),
    "a container without a name": (lambda d: container(d).pop("name"), "`name` is missing"),
    "a command": (lambda d: container(d).update(command=["sh"]), "`command` is not supported"),
    "a value from a secret": (lambda d: container(d)["env"].append({"name": "A", "valueFrom": {"k": {}}}), "`valueFrom`"),
    "an environment without MODEL_NAME": (lambda d: container(d).update(env=[]), "lacks MODEL_NAME"),
    "no graph": (lambda d: predictor(d).pop("graph"), "`name` is missing"),
    "children that are text": (lambda d: predictor(d)["graph"].update(children="ab"), "no list of mappings"),
    "a combiner of nothing": (lambda d: predictor(d)["graph"].update(children=[]), "nothing to combine"),
    "a model of several": (lambda d: predictor(d)["graph"].update(type="MODEL"), "only a combiner"),
    "a router": (lambda d: predictor(d)["graph"].update(type="ROUTER"), "ROUTER"),
    "a prepackaged server": (lambda d: child(d).update(implementation="SKLEARN_SERVER"), "SKLEARN_SERVER"),
    "a model URI": (lambda d: child(d).update(modelUri="s3://models/1"), "`modelUri` is not supported"),
    "a gRPC endpoint": (lambda d: child(d)["endpoint"].update(type="GRPC"), "GRPC"),
    "a node without a container": (lambda d: child(d).update(name="slot-9"), "no container has the node's name"),
    "a node named like a path": (lambda d: child(d).update(name="../slot"), "cannot be a name"),
    "nodes of one name": (lambda d: child(d).update(name="slot-2"), "node names repeat"),
    "parameters that are text": (lambda d: child(d).update(parameters="x"), "no list of mappings"),
    "a time-out of null": (lambda d: d["spec"].update(annotations={"seldon.io/rest-timeout": None}), "milliseconds"),
    "a negative time-out": (lambda d: d["spec"].update(annotations={"seldon.io/rest-timeout": "-5"}), "milliseconds"),
    "a time-out of nothing": (lambda d: d["spec"].update(annotations={"seldon.io/rest-timeout": "0"}), "milliseconds"),
}


@pytest.mark.parametrize(("change", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_run_as_written_is_refused_in_words(document, change, says):
    changed = copy.deepcopy(document)
    change(changed)
    with pytest.raises(DocumentError) as refusal:
        read(changed)
    assert says in str(refusal.value)
    assert refusal.value.status == 422


@pytest.mark.parametrize("content", [None, [], "text", 5, {}])
def test_what_is_no_document_is_refused(content):
    with pytest.raises(DocumentError):
        read(content)


@pytest.mark.parametrize("name", ["../../etc", "a/b", "UPPER", "", "-a", "a" * 64, "a\n"])
def test_a_name_that_is_no_label_is_refused_as_namespace_and_as_name(document, name):
    del document["metadata"]["namespace"], document["metadata"]["name"]
    with pytest.raises(DocumentError, match="cannot be a name"):
        parse(document, namespace=name, name="graph")
    with pytest.raises(DocumentError, match="cannot be a name"):
        parse(document, namespace="space", name=name)
