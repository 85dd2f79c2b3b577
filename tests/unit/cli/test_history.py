"""What the command line shows of the history: to people as tables, to programs as JSON."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from deployment_installation import Installation
from deployment_world import MODEL, World
from headrace import bootstrap
from headrace.cli import app as cli
from headrace.errors import DeploymentFailedError, InvalidSpecError, NotFoundError
from headrace.specs.canary import CanarySpec


@pytest.fixture
def world(monkeypatch):
    """Two revisions that served, the second still does; between them one that failed."""
    world = World()
    first, second, third = (world.register(name) for name in ("first", "second", "third"))
    world.deploy(first, second, why="the first two")
    world.serving.refuses.add(f"{MODEL}-preview")
    with pytest.raises(Exception, match="did not become ready"):
        world.deploy(third, why="a bad one [sic]")
    world.serving.refuses.clear()
    world.deploy(third, second, weights=[2.0, 1.0], why="better")
    monkeypatch.setattr(bootstrap, "Platform", lambda: Installation(world))
    monkeypatch.setenv("TZ", "UTC")
    return world


def run(*arguments):
    done = CliRunner().invoke(cli.application(arguments[0]), arguments)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def lines(*arguments):
    return [line.split() for line in run(*arguments).splitlines()]


def test_the_history_says_what_served_who_wanted_it_and_how_it_ended(world):
    headings, newest, failed, oldest = run("history", MODEL).splitlines()
    assert headings.split() == ["revision", "outcome", "live", "ended", "versions", "origin", "who", "why"]
    assert newest.split()[:2] == ["3", "live"]
    assert "serves" in newest
    assert "3 × 2, 2" in newest
    assert failed.split()[:2] == ["2", "restored"]
    assert "a bad one [sic] – " in failed
    assert "did not become ready" in failed
    assert oldest.rstrip().endswith("the first two")
    assert " ada " in oldest


def test_a_history_for_programs_is_complete_and_without_gap_or_overlap(world):
    newest, failed, oldest = json.loads(run("history", MODEL, "--json"))
    assert (newest["revision"], newest["outcome"], newest["ended"]) == (3, "live", None)
    assert oldest["ended"] == newest["live"]
    assert failed["live"] is None
    assert "did not become ready" in failed["reason"]
    assert [slot["weight"] for slot in newest["request"]["slots"]] == [2.0, 1.0]
    assert newest["members"][0]["run_id"] == "run-third"


def test_only_the_newest_revisions_when_asked_and_their_events(world):
    assert [each["revision"] for each in json.loads(run("history", MODEL, "-n", "1", "--json"))] == [3]
    shown = lines("history", MODEL, "-n", "1", "--events")
    assert [line[3] for line in shown[1:]] == ["requested", "aliased", "live"]


def test_what_serves_now_names_versions_weights_and_runs(world):
    shown = run("serving", MODEL)
    assert shown.startswith("revision 3, live since ")
    assert "asked for by ada: better" in shown
    assert [line.split() for line in shown.splitlines()[3:]] == [["1", "3", "2", "run-third"], ["2", "2", "1", "run-second"]]


def test_what_served_at_a_moment_is_the_revision_that_was_live_then(world):
    first, _, last = world.history.deployments(MODEL)
    for moment, revision in [(first.live, 1), (last.requested, 1), (last.live, 3), (datetime(2030, 1, 1, tzinfo=UTC), 3)]:
        assert json.loads(run("serving", MODEL, "--at", moment.isoformat(), "--json"))["revision"] == revision


def test_before_the_first_revision_nothing_served(world):
    with pytest.raises(NotFoundError, match=r"nothing served then .* Revision 1 was the first"):
        run("serving", MODEL, "--at", "2020-01-01T12:00Z")


def test_a_moment_without_a_zone_is_local_time_and_nonsense_is_refused(world):
    assert run("serving", MODEL, "--at", "2030-01-01T12:00").startswith("revision 3")
    with pytest.raises(InvalidSpecError, match="`yesterday` is no moment"):
        run("serving", MODEL, "--at", "yesterday")


def test_a_difference_is_told_slot_by_slot(world):
    assert lines("diff", MODEL, "1", "3")[1:] == [
        ["1", "version", "1", "3"],
        ["1", "weight", "1.0", "2.0"],
        ["1", "run", "run-first", "run-third"],
    ]


def test_a_slot_that_one_revision_lacks_and_a_graph_that_was_never_published_are_differences_too(world):
    changes = json.loads(run("diff", MODEL, "2", "3", "--json"))["changes"]
    assert {"slot": 2, "what": "version", "first": None, "second": 2} in changes
    assert {"slot": 1, "what": "version", "first": 3, "second": 3} not in changes


def test_equal_revisions_do_not_differ(world):
    assert run("diff", MODEL, "1", "1") == "revisions 1 and 1 serve the same\n"


def test_an_unknown_revision_or_ensemble_is_refused_with_those_there_are(world):
    with pytest.raises(NotFoundError, match="They go from 1 to 3"):
        run("diff", MODEL, "1", "9")
    with pytest.raises(NotFoundError, match=f"Those that were: {MODEL}"):
        run("history", "gloves")


@pytest.fixture
def tried(world):
    """A fourth revision is a canary beside the third."""
    world.ensemble = world.ensemble.model_copy(update={"canary": CanarySpec(share=0.1, duration=timedelta(minutes=10))})
    world.deploy(1, why="a try")
    return world


def test_what_serves_says_that_a_canary_is_on_beside_it(tried):
    shown = run("serving", MODEL)
    assert shown.startswith("revision 3, live since ")
    assert "\nrevision 4, a canary since " in shown
    assert "it answers 10 % of the requests beside revision 3; asked for by ada: a try\n" in shown
    assert shown.splitlines()[-1].split() == ["1", "1", "1", "run-first"]
    told = json.loads(run("serving", MODEL, "--json"))
    assert (told["revision"], told["canary"]["revision"], told["canary"]["outcome"]) == (3, 4, "canary")


def test_of_a_canary_that_is_over_only_the_history_tells_and_says_why(tried):
    began = tried.history.deployment(MODEL, 4).canary.at
    assert run("history", MODEL).splitlines()[1].split()[:2] == ["4", "canary"]
    tried.history.wait(timedelta(minutes=10))
    with pytest.raises(DeploymentFailedError, match="withdrawn as a canary"):
        tried.reconcile()
    assert "canary" not in run("serving", MODEL)
    assert json.loads(run("serving", MODEL, "--json"))["canary"] is None
    assert json.loads(run("serving", MODEL, "--at", began.isoformat(), "--json"))["canary"]["revision"] == 4
    assert "a try – too few requests in 10" in run("history", MODEL)
    shown = run("history", MODEL, "-n", "1", "--events")
    assert [line.split()[3] for line in shown.splitlines()[1:]] == ["requested", "aliased", "canary", "withdrawn", "restored"]
    assert "new: no requests; former: no requests" in shown
