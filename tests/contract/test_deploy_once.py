"""Deploying by several processes at once, over a real PostgreSQL's history and locks."""

import threading
import uuid
from dataclasses import replace

import pytest

from deployment_world import MODEL, World
from headrace.adapters.postgres.history import PostgresHistory
from headrace.adapters.postgres.locks import PostgresLocks
from headrace.errors import DeploymentFailedError
from headrace.specs.deployment import DeploymentRequest, Origin, Slot, last_live


@pytest.fixture
def world(postgres_url):
    """A world whose history and locks are real; its ensemble is no other test's."""
    world = World()
    world.ensemble = world.ensemble.model_copy(update={"name": f"shoes-{uuid.uuid4().hex[:8]}"})
    world.history = PostgresHistory(postgres_url)
    world.reconciler = replace(world.reconciler, history=world.history, locks=PostgresLocks(postgres_url))
    for name in "abc":
        world.register(name)
    return world


def request(world, version, **changes):
    slots = (Slot(slot=1, version=version, weight=0.1),)
    content = {"ensemble": world.ensemble.name, "slots": slots, "origin": Origin.PROMOTION, "who": "ada", "why": "better"}
    return DeploymentRequest(**content | changes)


def test_a_request_that_went_through_the_database_is_known_again(world):
    verdicts = {"1": {"passed": True, "checks": [{"name": "floor", "figure": 0.1 + 0.2, "threshold": None}]}}
    asked = request(world, 1, verdicts=verdicts, rejects=(2,))
    first = world.reconciler.deploy(world.ensemble, asked)
    again = world.reconciler.deploy(world.ensemble, asked)
    assert first == again
    assert (first.request, first.members[0].weight) == (asked, 0.1)


def test_of_several_who_deploy_at_once_the_newest_serves_and_every_other_served_or_is_told(world):
    told = []

    def deploy(version):
        try:
            world.reconciler.deploy(world.ensemble, request(world, version))
        except DeploymentFailedError as error:
            told.append(str(error))

    people = [threading.Thread(target=deploy, args=(version,)) for version in (1, 2, 3)]
    for person in people:
        person.start()
    for person in people:
        person.join(60)
    history = world.history.deployments(world.ensemble.name)
    newest = history[-1]
    assert (len(history), last_live(history)) == (3, newest)
    assert dict(world.registry.aliases(MODEL)) == newest.request.aliases
    superseded = [deployment for deployment in history if deployment.outcome == "superseded"]
    assert len(told) == len(superseded)
    assert world.reconciler.reconcile(world.ensemble, who="ada").done == ()
