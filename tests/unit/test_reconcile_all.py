"""Every declared ensemble is reconciled, and none is asked for in vain."""

import os
from datetime import timedelta

import pytest

from deployment_world import MODEL, World
from headrace import bootstrap
from headrace.adapters.declared_ensembles import DeclaredEnsembles
from headrace.config import Settings
from headrace.errors import DeploymentFailedError, NotFoundError, UnavailableError
from headrace.specs.deployment import DeploymentRequest, EventKind, Origin, Reconciliation, Slot
from headrace.usecases.deploy.desired import UNDER_WAY_WITHIN, under_way
from headrace.usecases.deploy.every import reconcile_each
from headrace.usecases.deploy.watching import DesireWatch

PIPELINE = """
name: {name}
description: Shoes and bags.
dataset:
  name: shoes
  classes: [shoe, bag]
  source:
    train: &pair {{images: &file {{name: x.gz, sha256: "{digest}"}}, labels: *file}}
    test: *pair
members: {{first: {{architecture: cnn, description: One.}}, second: {{architecture: cnn, description: Two.}}}}
ensemble: {{name: {name}, model: {name}}}
"""


def declare(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(PIPELINE.format(name=name, digest="0" * 64))


@pytest.fixture
def world():
    return World()


@pytest.fixture
def installation(world, tmp_path):
    """A platform over the fakes whose project declares the world's ensemble and another, of which nothing is known."""
    for name in (MODEL, "hats"):
        declare(tmp_path / "dags", name)
    installation = bootstrap.Platform(Settings(project=tmp_path))
    installation.history, installation.reconciler = world.history, world.reconciler
    installation.registry = installation.registry_watch = world.registry
    return installation


def test_a_moved_alias_is_desired_until_it_serves(world, installation):
    assert installation.desires() == {}
    world.registry.set_alias(MODEL, "slot-1", world.register("first"))
    assert installation.unreconciled() == [MODEL]
    before = installation.desires()
    world.registry.set_alias(MODEL, "slot-1", world.register("second"))
    assert installation.desires() != before
    log = []
    passes = installation.reconcile_all(who="ada", log=log.append)
    assert [(each.ensemble, each.revision) for each in passes] == [(MODEL, 1), ("hats", None)]
    assert installation.desires() == {}
    assert world.live_versions == {"slot-1": 2}
    assert log[-1] == "hats: as desired"
    assert any(line.startswith(f"{MODEL}: revision 1: live") for line in log)


def test_what_somebody_has_just_asked_for_is_left_to_them(world):
    request = DeploymentRequest(
        ensemble=MODEL, slots=(Slot(slot=1, version=1),), origin=Origin.PROMOTION, who="ada", why="because"
    )
    world.history.request(request)
    asked = world.history.deployments(MODEL)[-1].requested
    assert under_way(world.history.deployments(MODEL), asked + UNDER_WAY_WITHIN - timedelta(seconds=1))
    assert not under_way(world.history.deployments(MODEL), asked + UNDER_WAY_WITHIN)
    failed = world.history.record(MODEL, 1, EventKind.FAILED).events[-1].at
    assert under_way(world.history.deployments(MODEL), failed + timedelta(seconds=1))
    world.history.record(MODEL, 1, EventKind.RESTORED)
    assert not under_way(world.history.deployments(MODEL), failed + timedelta(seconds=2))
    assert not under_way([], failed)


def test_an_interrupted_deployment_is_desired_after_a_while(world, installation):
    request = DeploymentRequest(
        ensemble=MODEL, slots=(Slot(slot=1, version=world.register("first")),), origin=Origin.PROMOTION, who="ada", why="because"
    )
    asked = world.history.request(request).requested
    installation.desire_watch = DesireWatch(registry=world.registry, history=world.history, clock=lambda: now)
    now = asked + timedelta(seconds=5)
    assert installation.desires() == {}
    now = asked + UNDER_WAY_WITHIN
    assert installation.desires() == {MODEL: "revision 1"}
    installation.reconcile_all(who="ada", log=lambda line: None)
    assert world.live_versions == {"slot-1": 1}


def test_a_history_is_read_again_only_when_it_has_grown(world, installation, monkeypatch):
    world.deploy(world.register("first"))
    reads, read = [], world.history.deployments

    def count_reads(ensemble):
        reads.append(ensemble)
        return read(ensemble)

    monkeypatch.setattr(world.history, "deployments", count_reads)
    monkeypatch.setattr(world.history, "count_events", lambda name: sum(len(each.events) for each in read(name)))
    for _ in range(3):
        assert installation.desires() == {}
    assert sorted(reads) == ["hats", MODEL]
    world.registry.set_alias(MODEL, "slot-1", world.register("second"))
    assert list(installation.desires()) == [MODEL]
    assert sorted(reads) == ["hats", MODEL]
    world.reconcile()
    assert installation.desires() == {}
    assert reads[-1] == MODEL


def passing(name):
    return Reconciliation(ensemble=name, revision=1)


def test_one_that_fails_holds_no_other_up_and_its_error_is_the_passes():
    reconciled = []

    def reconcile(name):
        reconciled.append(name)
        if name == "hats":
            raise UnavailableError("the engine does not answer")
        return passing(name)

    log = []
    with pytest.raises(UnavailableError):
        reconcile_each(["hats", "shoes"], reconcile, log=log.append)
    assert reconciled == ["hats", "shoes"]
    assert log == ["hats: the engine does not answer", "shoes: as desired"]


def test_several_failures_are_told_together():
    def reconcile(name):
        raise NotFoundError(f"no version of {name}")

    with pytest.raises(DeploymentFailedError, match=r"2 ensembles .*: hats: no version of hats; shoes: no version of shoes"):
        reconcile_each(["hats", "shoes"], reconcile, log=lambda line: None)


def test_declared_ensembles_follow_their_files(tmp_path, caplog):
    declared = DeclaredEnsembles(tmp_path)
    assert declared.by_name() == {}
    declare(tmp_path, "shoes")
    shoes = declared.by_name()["shoes"]
    assert declared.by_name()["shoes"] is shoes
    declare(tmp_path, "hats")
    (tmp_path / "hats.yaml").write_text("name: [")
    assert list(declared.by_name()) == list(declared.by_name()) == ["shoes"]
    assert caplog.text.count("no ensemble is known of hats.yaml") == 1
    declare(tmp_path, "hats")
    os.utime(tmp_path / "hats.yaml", ns=(1, 1))
    assert list(declared.by_name()) == ["hats", "shoes"]
    (tmp_path / "shoes.yaml").unlink()
    assert list(declared.by_name()) == ["hats"]


def test_an_ensemble_that_no_pipeline_declares_is_refused_with_those_there_are(installation):
    with pytest.raises(NotFoundError, match="Known: hats, shoes"):
        installation.ensemble("gloves")
