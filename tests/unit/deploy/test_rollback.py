"""Rolling back: to which revision, what it brings back, and what it rejects."""

import pytest

from deployment_world import MODEL, SPACE, World
from headrace.errors import InvalidSpecError, NotFoundError
from headrace.specs.deployment import Origin


@pytest.fixture
def world():
    """Revision 1 serves version 1 and 2, revision 2 version 3, revision 3 version 4."""
    world = World()
    one, two, three, four = (world.register(name) for name in "abcd")
    world.deploy(one, two, weights=[3.0, 1.0])
    world.former = world.serving.get(SPACE, MODEL)
    world.deploy(three)
    world.deploy(four)
    return world


def rejected(world):
    tags = {version: world.registry.version(MODEL, version).tags for version in (1, 2, 3, 4)}
    return {version: tag["headrace.rejected"] for version, tag in tags.items() if tag}


def test_one_verb_goes_to_the_revision_before_and_rejects_what_served(world):
    rolled = world.rollback(why="slow")
    assert (rolled.revision, rolled.request.origin, rolled.request.why) == (4, Origin.ROLLBACK, "back to revision 2: slow")
    assert world.live_versions == world.aliases == {"slot-1": 3}
    assert rejected(world) == {4: "back to revision 2: slow"}


def test_a_named_revision_comes_back_exactly(world):
    rolled = world.rollback(to=1)
    assert world.serving.get(SPACE, MODEL) == world.former
    assert rolled.members == world.history.deployment(MODEL, 1).members
    assert rolled.request.slots == world.history.deployment(MODEL, 1).request.slots


def test_again_and_again_goes_back_further_and_ends(world):
    world.rollback()
    world.rollback()
    assert world.live_versions == {"slot-1": 1, "slot-2": 2}
    with pytest.raises(NotFoundError, match="before revision 5 nothing else served that was not rejected"):
        world.rollback()
    world.registry.delete_tag(MODEL, 4, "headrace.rejected")
    assert world.rollback().request.versions == (4,)


def test_a_revision_on_its_way_is_stopped(world):
    request = world.history.deployment(MODEL, 2).request
    world.history.request(request)
    world.rollback()
    assert world.outcomes() == ["live", "live", "live", "superseded", "live"]
    assert world.live_versions == {"slot-1": 4}
    assert list(rejected(world)) == [3]


def test_rolling_back_to_what_shares_a_version_does_not_reject_it(world):
    world.deploy(4, 3)
    world.rollback(to=2)
    assert list(rejected(world)) == [4]


@pytest.mark.parametrize(
    ("to", "error", "text"),
    [
        (9, NotFoundError, "there is no revision 9"),
        (3, InvalidSpecError, "what revision 3 says serves now"),
        (4, InvalidSpecError, "revision 4 never served"),
    ],
)
def test_what_cannot_be_gone_back_to_is_said(world, to, error, text):
    with pytest.raises(NotFoundError):
        world.deploy(99)
    with pytest.raises(error, match=text):
        world.rollback(to=to)


def test_without_a_history_there_is_no_way_back():
    with pytest.raises(NotFoundError, match="nothing ever served"):
        World().rollback()
