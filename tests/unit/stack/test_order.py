"""The order of starting and stopping."""

import pytest

from headrace.config import load_settings
from headrace.errors import StackError
from headrace.stack.assembly import assemble
from headrace.stack.order import needs_of, stop_waves
from headrace.stack.part import Assembly, Part, Setup
from headrace.stack.secrets import NAMES


def part(name, *needs):
    return Part(name=name, command=("true",), ready=lambda since: None, version=lambda: "1", needs=needs)


def setup(name, *needs):
    return Setup(name=name, title=name, run=lambda: None, needs=needs)


def names(waves):
    return [[each.name for each in wave] for wave in waves]


def test_what_nothing_needs_stops_first():
    assembly = Assembly((part("database"), part("server", "schema"), part("engine")), (setup("schema", "database"),))
    assert names(stop_waves(assembly)) == [["server", "engine"], ["database"]]


def test_a_setup_that_comes_after_a_part_does_not_keep_it_up():
    assembly = Assembly((part("server"), part("engine")), (setup("pool", "server"),))
    assert names(stop_waves(assembly)) == [["server", "engine"]]


def test_an_unknown_need_is_refused():
    with pytest.raises(StackError, match="needs databse"):
        needs_of(Assembly((part("server", "databse"),), ()))


def test_two_nodes_of_one_name_are_refused():
    with pytest.raises(StackError, match="two parts or set-ups of one name"):
        needs_of(Assembly((part("server"),), (setup("server"),)))


def test_a_circle_is_refused():
    with pytest.raises(StackError, match="circle"):
        needs_of(Assembly((part("a", "b"), part("b", "a")), ()))


def test_the_real_stack_starts_on_postgres_and_stops_with_it(tmp_path):
    assembly = assemble(load_settings(home=tmp_path, project=tmp_path), dict.fromkeys(NAMES, ""))
    needs = needs_of(assembly)
    assert {name for name, wanted in needs.items() if not wanted} == {"cluster", "serving"}
    *first, last = names(stop_waves(assembly))
    assert last == ["postgres"]
    assert len(first) == 1
