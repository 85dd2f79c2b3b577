"""Two ensembles side by side on a running engine: who answers, what is counted, and what a shadow must not do."""

import json
import threading
from collections import Counter
from datetime import timedelta

import httpx
import pytest

from graph_engine import SPACE
from headrace.adapters.graph_engine import GraphEngine
from headrace.render.seldon import ServingTarget, render_canary
from headrace.specs.canary import CanarySpec
from headrace.specs.serving import EnsembleSpec
from serving.conftest import ROW, images
from serving.odd_graphs import TWO_CLASSES, answering, deployment, lots_between, mean_of, node
from waiting import wait_for

pytestmark = pytest.mark.timeout(240)
MESSAGE = {"data": {"ndarray": [[1, 2]]}}
SOON = timedelta(seconds=100)
OTHERWISE = {"data": {"names": ["a", "b"], "ndarray": [[0.9, 0.1]]}, "meta": {}}
ROUTES = [{"name": "SELDON_ENABLE_ROUTING_INJECTION", "value": "true"}]


def routed(former, new, *, share=0.5):
    """A router over two ensembles of one odd model each."""
    return lots_between(mean_of(former), mean_of(new, name="new-combiner"), share=share)


def erring(name, folder):
    """A model that fails at every request."""
    (folder / "broken.all").touch()
    return answering(name, component="Moody", broken=str(folder / "broken"))


@pytest.fixture
def apply(engine):
    """Applies a document as the platform does; returns the backend. It is deleted in the end."""
    backend, names = GraphEngine(engine.url), []

    def apply(document):
        names.append(document["metadata"]["name"])
        backend.apply(document, timeout=SOON)
        return backend

    yield apply
    for name in names:
        backend.delete(SPACE, name)


def odd(name, graph, *, routes=False, shadow=None, percent=100):
    """A document over odd components."""
    document = deployment(name, graph)
    (predictor,) = document["spec"]["predictors"]
    predictor["svcOrchSpec"] = {"env": ROUTES if routes else []}
    if shadow:
        (mirror,) = deployment(name, shadow)["spec"]["predictors"]
        document["spec"]["predictors"].append({**mirror, "name": "shadow", "shadow": True, "traffic": percent})
    return document


def ask(engine, name, times):
    """The replies to so many requests, by two callers."""
    replies = []

    def caller():
        with httpx.Client(trust_env=False, timeout=30) as client:
            replies.extend(client.post(engine.predictions(name), json=MESSAGE) for _ in range(times // 2))

    threads = [threading.Thread(target=caller) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


def test_each_request_is_one_ensemble_s_by_lot_and_says_which_as_seldon_does(engine, apply):
    backend = apply(odd("routed", routed(answering("slot-1"), answering("new-slot-1", OTHERWISE), share=0.3), routes=True))
    replies = [reply.json() for reply in ask(engine, "routed", 300)]
    drawn = Counter(reply["meta"]["routing"]["canary"] for reply in replies)
    assert drawn[0] + drawn[1] == 300
    assert 50 < drawn[1] < 130, "binomial: 90 are expected, and 40 off happen once in a million"
    for reply in replies:
        prefix, answer = ("new-", [[0.9, 0.1]]) if reply["meta"]["routing"]["canary"] else ("", [[0.25, 0.75]])
        assert reply["data"]["ndarray"] == answer
        assert set(reply["meta"]["requestPath"]) == {f"{prefix}combiner"}
        routes = {f"{prefix}combiner": -1, f"{prefix}slot-1": -1}
        assert reply["meta"]["routing"] == {"canary": int(prefix != ""), **routes}
    figures = backend.figures(SPACE, "routed")
    assert (figures.former.requests, figures.new.requests) == (drawn[0], drawn[1])
    assert (figures.former.errors, figures.new.errors, figures.compared) == (0, 0, 0)
    assert 0 < figures.new.latency < 5


def test_routes_are_told_only_where_the_document_asks_for_them(engine, apply):
    apply(odd("untold", routed(answering("slot-1"), answering("new-slot-1"))))
    assert "routing" not in engine.ask("untold", MESSAGE).json()["meta"]


def test_the_slow_and_the_erring_ensemble_show_in_the_figures(engine, apply, tmp_path):
    slow = answering("new-slot-1", component="Sleeper", answer_after=0.25)
    backend = apply(odd("slow", routed(answering("slot-1"), slow)))
    ask(engine, "slow", 40)
    figures = backend.figures(SPACE, "slow")
    assert figures.new.latency >= 0.25
    assert figures.new.latency > 1.5 * figures.former.latency

    backend = apply(odd("erring", routed(answering("slot-1"), erring("new-slot-1", tmp_path))))
    replies = ask(engine, "erring", 40)
    failed = sum(reply.status_code == 500 for reply in replies)
    figures = backend.figures(SPACE, "erring")
    assert 0 < failed == figures.new.errors == figures.new.requests
    assert (figures.former.errors, figures.former.requests) == (0, 40 - failed)
    assert figures.new.seconds == 0


def test_a_graph_without_a_canary_and_one_that_is_not_there_have_counted_nothing(engine, apply):
    backend = apply(odd("plain", mean_of(answering("slot-1"))))
    ask(engine, "plain", 4)
    assert backend.figures(SPACE, "plain") == backend.figures(SPACE, "nowhere")
    assert backend.figures(SPACE, "plain").new.requests == 0


def shadowed(engine, apply, name, shadow, **options):
    return apply(odd(name, mean_of(answering("slot-1")), shadow=mean_of(shadow, name="new-combiner"), **options))


def settled(backend, name, requests):
    """The figures once the shadow has had so many requests."""
    wait_for(lambda: backend.figures(SPACE, name).new.requests >= requests, 30, "the shadow has been asked")
    return backend.figures(SPACE, name)


def test_a_shadow_is_asked_the_same_and_compared_and_answers_nobody(engine, apply):
    alike = shadowed(engine, apply, "alike", answering("new-slot-1"))
    replies = ask(engine, "alike", 10)
    assert {json.dumps(reply.json()["data"]) for reply in replies} == {json.dumps(TWO_CLASSES["data"])}
    figures = settled(alike, "alike", 10)
    assert (figures.former.requests, figures.compared, figures.agreed) == (10, 10, 10)

    unlike = shadowed(engine, apply, "unlike", answering("new-slot-1", OTHERWISE))
    replies = ask(engine, "unlike", 10)
    assert {json.dumps(reply.json()["data"]) for reply in replies} == {json.dumps(TWO_CLASSES["data"])}
    assert settled(unlike, "unlike", 10).agreement == 0.0


def test_a_share_of_the_requests_is_mirrored_alone(engine, apply):
    backend = shadowed(engine, apply, "share", answering("new-slot-1"), percent=20)
    ask(engine, "share", 200)
    figures = settled(backend, "share", 10)
    assert figures.former.requests < 90, "binomial: 40 are expected"


def test_no_error_and_no_slowness_of_a_shadow_reaches_a_caller(engine, apply, tmp_path):
    backend = shadowed(engine, apply, "failing", erring("new-slot-1", tmp_path))
    assert {reply.status_code for reply in ask(engine, "failing", 20)} == {200}
    figures = settled(backend, "failing", 10)
    assert figures.new.errors == figures.new.requests
    assert (figures.former.errors, figures.compared) == (0, 0)

    backend = shadowed(engine, apply, "sleeping", answering("new-slot-1", component="Sleeper", answer_after=3.0))
    replies = ask(engine, "sleeping", 40)
    assert {reply.status_code for reply in replies} == {200}
    assert max(reply.elapsed.total_seconds() for reply in replies) < 3
    assert backend.figures(SPACE, "sleeping").former.requests <= 20, "it is not asked more than it can bear"


def test_what_is_wrong_with_a_request_is_both_ensembles_error_and_the_caller_s(engine, apply):
    refusing = node("new-slot-1", "headrace.serving.combiner.MeanCombiner")
    backend = apply(
        odd(
            "wrong",
            mean_of(node("slot-1", "headrace.serving.combiner.MeanCombiner")),
            shadow=mean_of(refusing, name="new-combiner"),
        )
    )
    assert engine.ask("wrong", MESSAGE).status_code >= 400
    figures = settled(backend, "wrong", 1)
    assert (figures.former.errors, figures.new.errors) == (1, 1)


@pytest.fixture
def ensembles(graph):
    """Renders a canary of the small models: by the platform, as it would."""

    def render(mode, former=(1, 2), new=(3, 4), name="tried"):
        from headrace.render.seldon import members_of

        before, after = (members_of(graph(name, seeds=seeds)[0]) for seeds in (former, new))
        spec = EnsembleSpec(name=name, model="m", replicas=2)
        canary = CanarySpec(share=0.5, mode=mode)
        return render_canary(spec, canary, before, after, ServingTarget(namespace=SPACE))

    return render


@pytest.mark.parametrize("mode", ["canary", "shadow"])
def test_what_serves_runs_on_when_a_canary_begins_and_when_it_goes_back(engine, apply, graph, ensembles, mode):
    alone, _ = graph("tried")
    backend = apply(alone)
    former = pids(engine)
    backend.apply(ensembles(mode), timeout=SOON)
    both = pids(engine)
    assert {node: pid for node, pid in both.items() if not node[0].startswith("new-")} == former
    assert {node[0] for node in both} == {"combiner", "slot-1", "slot-2", "new-combiner", "new-slot-1", "new-slot-2"}
    pixels = images(1).tolist()
    names = {vote["name"] for _ in range(20) for vote in votes(engine, pixels)}
    assert ("new-slot-1" in names) == (mode == "canary")
    assert "slot-1" in names
    backend.apply(alone, timeout=SOON)
    assert pids(engine) == former
    assert {vote["name"] for vote in votes(engine, [ROW])} == {"slot-1", "slot-2"}


def votes(engine, pixels):
    return engine.ask("tried", {"data": {"ndarray": pixels}}).json()["meta"]["tags"]["votes"]


def pids(engine):
    return {(each["node"], each["replica"]): each["pid"] for each in engine.status("tried")["replicas"]}
