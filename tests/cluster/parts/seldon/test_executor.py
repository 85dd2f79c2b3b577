"""Graphs asked through Seldon's own executor: left out, by name, where its operator is not installed."""

from collections import Counter
from itertools import islice

import pytest

from builders import dataset_version, pipeline
from cluster.parts.seldon_world import IMAGE as SERVING_IMAGE
from cluster.parts.seldon_world import cluster_names, ensemble
from cluster.trickle import trickle
from deployment_world import predictions
from fakes import FakeLocks
from fakes_deployment import FakeHistory
from headrace.bootstrap import utc_now
from headrace.errors import InvalidSpecError, NotFoundError
from headrace.render.seldon import members_of, render_canary
from headrace.specs.canary import CanarySpec
from headrace.specs.step import PromoteStep
from headrace.usecases.deploy.reconcile import Reconciler
from headrace.usecases.deploy.rollout import Rollout
from headrace.usecases.gate.predictions import store_predictions
from headrace.usecases.promote import Promoter
from waiting import wait_for

EMPTY_IMAGE = [[0] * 28] * 28

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("executor")]


@pytest.fixture(scope="module")
def executor(real, client):
    """Services answer under their names; skips where there is no executor behind them."""
    if not real:
        pytest.skip("Seldon's operator is not installed: no executor, so nothing of its endpoint is tested")
    with pytest.MonkeyPatch.context() as patch, cluster_names(client, patch):
        yield


def test_the_endpoint_answers_and_refuses(standing, graphs):
    reply = standing.predict([EMPTY_IMAGE])
    assert [vote["name"] for vote in reply["meta"]["tags"]["votes"]] == ["slot-1", "slot-2"]
    with pytest.raises(InvalidSpecError, match="expected"):
        standing.predict([])
    with pytest.raises(NotFoundError):
        graphs().predict([EMPTY_IMAGE])


def test_a_pipelines_candidates_are_promoted_and_verified(standing, graphs, models):
    graph, history = graphs(), FakeHistory()
    rollout = Rollout(registry=models.registry, serving=graph.backend, store=models.store, target=graph.place)
    reconciler = Reconciler(registry=models.registry, history=history, rollout=rollout, locks=FakeLocks(), clock=utc_now)
    promoter = Promoter(registry=models.registry, history=history, store=models.store, reconciler=reconciler)
    made = [models.make(member) for member in ("fourth", "fifth")]
    for candidate in made:
        store_predictions(models.store, dataset_version(), candidate.model, candidate.version, predictions(0.9))
    declared = {**ensemble(graph.name).model_dump(), "minimum": 2}
    step = PromoteStep(
        pipeline=pipeline(ensemble=declared), run="r", candidates=made, dataset=dataset_version(), size=2, who="test"
    )
    assert promoter.promote(step).revision == 1
    assert reconciler.reconcile(step.pipeline.ensemble, who="test").done == ()
    assert {member.version for member in members_of(graph.shown())} == {candidate.version for candidate in made}
    assert graph.backend.get(graph.place.namespace, f"{graph.name}-preview") is None


def test_a_canary_gets_its_share_from_the_executor_which_counts_both(graphs, good, models):
    graph = graphs()
    graph.apply(graph.document(good))
    former = {node: each.metadata.generation for node, each in graph.deployments().items()}
    new = models.published(models.make("eighth"))
    both = render_canary(ensemble(graph.name), CanarySpec(share=0.5), good, new, graph.place)
    graph.apply(both)
    assert graph.shown() == both
    now = {node: each.metadata.generation for node, each in graph.deployments().items()}
    assert now.keys() == {"combiner", "slot-1", "slot-2", "new-combiner", "new-slot-1"}
    assert all(now[node] == former[node] for node in ("slot-1", "slot-2")), "the models run on"
    # The former executor, which tells no routes, answers on until it is no longer asked.
    told = (reply for reply in iter(lambda: graph.predict([EMPTY_IMAGE]), None) if "routing" in reply["meta"])
    replies = list(islice(told, 60))
    drawn = Counter(reply["meta"]["routing"]["canary"] for reply in replies)
    assert drawn.keys() == {0, 1}
    for reply in replies:
        names = [vote["name"] for vote in reply["meta"]["tags"]["votes"]]
        assert names == (["new-slot-1"] if reply["meta"]["routing"]["canary"] else ["slot-1", "slot-2"])
    figures = graph.backend.figures(graph.place.namespace, graph.name)
    assert (figures.former.requests, figures.new.requests) == (drawn[0], drawn[1])
    assert figures.former.errors == figures.new.errors == 0
    assert 0 < figures.new.latency < 10
    graph.apply(graph.document(good))
    assert graph.deployments().keys() == {"combiner", "slot-1", "slot-2"}
    wait_for(lambda: "routing" not in graph.predict([EMPTY_IMAGE])["meta"], 60, "one executor answers that tells no routes")


@pytest.fixture(scope="module")
def doubled(executor, graphs, good):
    """A graph of two replicas a node."""
    graph = graphs()
    graph.apply(graph.document(good, replicas=2))
    return graph


def test_a_replica_that_is_killed_costs_the_platform_no_answer(doubled, kubectl):
    """The executor asks no other replica; whoever asks it through the adapter does."""
    (victim, *_) = kubectl.get("pods", f"--selector=headrace.dev/graph={doubled.name},headrace.dev/node=slot-1")
    asked = 0

    def restarted():
        nonlocal asked
        doubled.predict([EMPTY_IMAGE])
        asked += 1
        (status,) = kubectl.get("pod", victim["metadata"]["name"])["status"]["containerStatuses"]
        return status["restartCount"] == 1 and status["ready"]

    kill_its_processes = "kill -9 $(cat /proc/1/task/1/children)"
    kubectl("exec", victim["metadata"]["name"], "--container=slot-1", "--", "sh", "-c", kill_its_processes)
    wait_for(restarted, 120, "the replica is back")
    assert asked > 1


def test_a_rolling_update_loses_no_request_in_the_nodes(doubled, kubectl, models):
    """What may be lost is the executor's own: as released, it hangs up at once when its pod is asked to end."""
    newer = models.published(models.make("sixth"), models.make("seventh"))
    with trickle(kubectl, doubled.backend.endpoint(kubectl.namespace, doubled.name), image=SERVING_IMAGE) as answers:
        doubled.apply(doubled.document(newer, replicas=2))
    assert answers.counts["200"] > 100
    assert all(answer.startswith("ClientConnectorError") for answer in answers.failures), answers.failures
    assert sum(answers.failures.values()) < 0.01 * sum(answers.counts.values()), answers.counts
