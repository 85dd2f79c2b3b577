"""What the command line changes of what serves, in whose name, and what it refuses."""

import json
import re

import pytest
from typer.testing import CliRunner

from deployment_installation import Installation
from deployment_world import MODEL, World
from headrace import bootstrap
from headrace.cli import app as cli
from headrace.cli.deployment import caller, parse_votes
from headrace.errors import InvalidSpecError, NotFoundError
from headrace.specs.canary import CanarySpec
from headrace.specs.deployment import REJECTED_TAG


@pytest.fixture
def world(monkeypatch):
    """Three registered versions, none of which serves."""
    world = World()
    for name in ("first", "second", "third"):
        world.register(name)
    monkeypatch.setattr(bootstrap, "Platform", lambda: Installation(world))
    return world


def run(*arguments):
    done = CliRunner().invoke(cli.application(arguments[0]), arguments)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_versions_named_serve_with_their_weights_in_the_callers_name(world):
    shown = run("promote", MODEL, "--versions", "3,1", "--weights", "2,1", "--why", "a trial", "--force")
    assert shown.startswith(f"{MODEL} serves revision 1: a trial (forced: versions 3, 1 have not passed a gate)\n")
    assert [line.split() for line in shown.splitlines()[2:]] == [["1", "3", "2", "run-third"], ["2", "1", "1", "run-first"]]
    assert world.live_versions == {"slot-1": 3, "slot-2": 1}
    assert world.history.deployment(MODEL, 1).request.who == caller()


def test_without_a_gate_nothing_is_promoted(world):
    with pytest.raises(InvalidSpecError, match="has not passed a gate"):
        run("promote", MODEL, "--versions", "1", "--why", "a trial")
    assert (world.live_versions, world.history.ensembles()) == ({}, [])


def test_a_rollback_serves_exactly_what_did_and_rejects_what_does(world):
    world.deploy(1, 2, weights=[3.0, 1.0])
    world.deploy(3)
    told = json.loads(run("rollback", MODEL, "--why", "worse on shirts", "--json"))
    assert (told["revision"], told["request"]["why"]) == (3, "back to revision 1: worse on shirts")
    assert told["request"]["rejects"] == [3]
    assert [(member["version"], member["weight"]) for member in told["members"]] == [(1, 3.0), (2, 1.0)]
    assert world.live_versions == {"slot-1": 1, "slot-2": 2}


def test_a_rollback_goes_to_the_revision_asked_for(world):
    for version in (1, 2, 3):
        world.deploy(version)
    run("rollback", MODEL, "--to", "1", "--why", "worse")
    assert world.live_versions == {"slot-1": 1}


@pytest.mark.parametrize("command", [["rollback", MODEL], ["promote", MODEL, "--versions", "1", "--force"]])
def test_a_reason_is_never_empty(world, command):
    with pytest.raises(InvalidSpecError, match="the reason is empty"):
        run(*command, "--why", "  ")
    assert CliRunner().invoke(cli.application(command[0]), command).exit_code == 2


def test_a_rejected_version_is_released_by_name(world):
    world.registry.set_tag(MODEL, 2, REJECTED_TAG, "worse")
    assert run("release", MODEL, "2") == f"version 2 of {MODEL} may be chosen again\n"
    assert REJECTED_TAG not in world.registry.version(MODEL, 2).tags
    assert json.loads(run("release", MODEL, "2", "--json"))["was_rejected"] is False
    with pytest.raises(NotFoundError):
        run("release", MODEL, "9")


def test_reconciling_says_what_it_found_and_did(world):
    world.registry.set_alias(MODEL, "slot-1", 2)
    shown = run("reconcile", MODEL)
    assert re.search(rf"^{MODEL} +revision 1 +revision 1: aliased", shown, re.MULTILINE)
    assert "revision 1: live" in shown
    assert world.live_versions == {"slot-1": 2}
    assert run("reconcile", MODEL).splitlines()[1].split() == [MODEL, "revision", "1", "as", "desired"]


def test_all_that_are_declared_are_reconciled_when_none_is_named(world):
    (passed,) = json.loads(run("reconcile", "--json"))
    assert passed == {"ensemble": MODEL, "revision": None, "done": [], "waits": ""}


def test_an_ensemble_that_no_pipeline_declares_is_refused(world):
    with pytest.raises(NotFoundError, match=f"Known: {MODEL}"):
        run("reconcile", "gloves")


def test_the_caller_has_a_name_and_a_host_even_without_a_login(monkeypatch):
    assert re.fullmatch(r"[^@\s]+@[^@\s]+", caller())

    def nameless():
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert re.fullmatch(r"uid-\d+@[^@\s]+", caller())


def test_votes_are_the_same_unless_said():
    assert parse_votes("7, 9", None) == {7: 1.0, 9: 1.0}
    assert list(parse_votes("9,7", "2,0.5").items()) == [(9, 2.0), (7, 0.5)]


@pytest.mark.parametrize(
    ("versions", "weights", "said"),
    [
        ("7,x", None, "`x` is no number above 0"),
        ("", None, "is no number above 0"),
        ("7,7", None, "named twice"),
        ("7,9", "1", "1 weights for 2 versions"),
        ("7", "0", "`0` is no number above 0"),
        ("7", "inf", "`inf` is no number above 0"),
        ("7", "nan", "`nan` is no number above 0"),
        ("0", None, "`0` is no number above 0"),
    ],
)
def test_votes_that_make_no_sense_are_refused(versions, weights, said):
    with pytest.raises(InvalidSpecError, match=said):
        parse_votes(versions, weights)


def test_a_promotion_that_is_tried_first_says_so_and_a_pass_says_what_it_waits_for(world):
    world.ensemble = world.ensemble.model_copy(update={"canary": CanarySpec(share=0.1)})
    world.deploy(1)
    shown = run("promote", MODEL, "--versions", "3", "--why", "a trial", "--force")
    assert shown.startswith(f"revision 2 of {MODEL} is a canary: it answers 10 % of the requests beside revision 1. ")
    assert shown.splitlines()[-1].split() == ["1", "3", "1", "run-third"]
    assert "revision 2 is a canary for 0" in run("reconcile", MODEL)
    (passed,) = json.loads(run("reconcile", "--json"))
    assert (passed["revision"], passed["done"]) == (1, [])
    assert passed["waits"].endswith("new: no requests; former: no requests")
