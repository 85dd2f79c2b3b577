"""The history of deployments: one contract, on the fake and on a real PostgreSQL."""

import threading
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from builders import DIGEST
from fakes_deployment import FakeHistory
from headrace.adapters.postgres.engine import open_engine
from headrace.adapters.postgres.history import PostgresHistory
from headrace.errors import NotFoundError
from headrace.specs.deployment import DeploymentRequest, EventKind, Origin, Slot, ended, last_live, live_at
from headrace.specs.serving import SlotMember


@pytest.fixture(params=["fake", "postgres"])
def history(request):
    return FakeHistory() if request.param == "fake" else PostgresHistory(request.getfixturevalue("postgres_url"))


@pytest.fixture
def ensemble():
    """A name no other test uses: they share a database."""
    return f"shoes-{uuid.uuid4().hex[:8]}"


def request(ensemble, *versions, **changes):
    slots = tuple(Slot(slot=slot, version=version, weight=slot / 2) for slot, version in enumerate(versions, start=1))
    content = {"ensemble": ensemble, "slots": slots, "origin": Origin.PROMOTION, "who": "ada", "why": "better"}
    return DeploymentRequest(**content | changes)


def member(version):
    return SlotMember(
        slot=1, model="shoes", version=version, run_id="run", location="/models", digest=DIGEST, weight=0.5, dataset_version="v1"
    )


def test_nothing_is_known_of_an_ensemble_never_deployed(history, ensemble):
    assert list(history.deployments(ensemble)) == []
    assert ensemble not in history.ensembles()
    with pytest.raises(NotFoundError, match=f"ensemble {ensemble} has no revision 1"):
        history.deployment(ensemble, 1)


def test_what_was_asked_for_comes_back_unchanged_as_the_next_revision(history, ensemble):
    full = request(ensemble, 7, 9, run="r1", verdicts={"7": {"passed": True, "checks": [{"figure": 0.91}]}}, rejects=(5, 6))
    first, second = history.request(full), history.request(request(ensemble, 8, origin=Origin.REGISTRY))
    assert (first.revision, first.request, first.members) == (1, full, ())
    assert [event.kind for event in first.events] == [EventKind.REQUESTED]
    assert history.deployment(ensemble, 1) == first
    assert list(history.deployments(ensemble)) == [first, second]
    assert second.revision == 2
    assert second.requested > first.requested


def test_ensembles_count_for_themselves_and_are_listed_by_name(history, ensemble):
    for name in (f"{ensemble}-b", f"{ensemble}-a", f"{ensemble}-b"):
        history.request(request(name, 1))
    assert [name for name in history.ensembles() if name.startswith(ensemble)] == [f"{ensemble}-a", f"{ensemble}-b"]
    assert [len(history.deployments(f"{ensemble}-{each}")) for each in "ab"] == [1, 2]


def test_events_are_told_in_the_order_of_recording(history, ensemble):
    history.request(request(ensemble, 7))
    history.record(ensemble, 1, EventKind.ALIASED)
    history.record(ensemble, 1, EventKind.LIVE, digest=DIGEST, members=[member(7)])
    known = history.record(ensemble, 1, EventKind.KEPT, detail="version 7 was deleted")
    assert [str(event.kind) for event in known.events] == ["requested", "aliased", "live", "kept"]
    assert [event.at for event in known.events] == sorted({event.at for event in known.events})
    assert (known.events[2].digest, known.events[3].detail) == (DIGEST, "version 7 was deleted")
    assert known.members == (member(7),), "an event without members does not take them away"
    assert history.deployment(ensemble, 1) == known


def test_nothing_is_recorded_of_a_revision_that_is_none(history, ensemble):
    history.request(request(ensemble, 7))
    with pytest.raises(NotFoundError):
        history.record(ensemble, 2, EventKind.LIVE)


def test_the_moments_tell_what_served_when(history, ensemble):
    for version in (1, 2, 3):
        history.request(request(ensemble, version))
    before = history.record(ensemble, 1, EventKind.LIVE).live - timedelta(microseconds=1)
    history.record(ensemble, 2, EventKind.FAILED, detail="did not start")
    history.record(ensemble, 3, EventKind.LIVE)
    told = history.deployments(ensemble)
    first, failed, last = told
    assert [live_at(told, moment) for moment in (before, first.live, last.live)] == [None, first, last]
    assert (ended(told, first), ended(told, failed), ended(told, last)) == (last.live, None, None)
    assert (last_live(told), failed.reason) == (last, "did not start")


def test_callers_at_once_get_a_revision_each(history, ensemble):
    def ask():
        history.request(request(ensemble, 1))

    callers = [threading.Thread(target=ask) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
    assert [deployment.revision for deployment in history.deployments(ensemble)] == [1, 2, 3, 4]


@pytest.mark.parametrize("table", ["deployment", "deployment_event"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET ensemble = 'other' WHERE ensemble = :name", "DELETE FROM {} WHERE ensemble = :name"]
)
def test_the_database_refuses_to_change_what_happened(postgres_url, ensemble, table, statement):
    PostgresHistory(postgres_url).request(request(ensemble, 1))
    with pytest.raises(DBAPIError, match="never changes once committed"), open_engine(postgres_url).begin() as connection:
        connection.execute(text(statement.format(table)), {"name": ensemble})


def test_events_are_counted_without_being_read(history, ensemble):
    assert history.count_events(ensemble) == 0
    history.request(request(ensemble, 1))
    assert history.count_events(ensemble) == 1
    history.request(request(f"{ensemble}-other", 1))
    history.record(ensemble, 1, EventKind.ALIASED)
    history.request(request(ensemble, 2))
    assert history.count_events(ensemble) == sum(len(each.events) for each in history.deployments(ensemble)) == 3
