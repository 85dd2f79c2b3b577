"""The supervisor's configuration, as the parts render to it."""

from pathlib import Path

import pytest
from supervisor.datatypes import dict_of_key_value_pairs
from supervisor.options import UnhosedConfigParser

from golden import assert_golden
from headrace.errors import StackError
from headrace.stack.part import Part
from headrace.stack.supervisord_config import Layout, render

GOLDEN = Path(__file__).parent / "golden" / "supervisord.conf"
HOME = Path("/srv/headrace")


def part(name="mlflow", **more):
    return Part(name=name, ready=lambda since: None, version=lambda: "1", **{"command": ("/bin/true",), **more})


PARTS = (
    part(
        "postgres",
        command=("/opt/postgres", "-D", "/srv/headrace/data", "-c", "unix_socket_directories="),
        user="nobody",
        stop_signal="INT",
    ),
    part(command=("/opt/python", "-m", "mlflow"), environment={"MLFLOW_BACKEND_STORE_URI": "postgresql://m:p%40w@127.0.0.1/m"}),
)


def rendered(*parts, as_root=False, home=HOME):
    return render(parts or PARTS, layout=Layout(home), stack="0123456789abcdef", as_root=as_root)


def test_the_whole_file_is_as_reviewed():
    assert_golden(GOLDEN, rendered(as_root=True))


def test_only_root_drops_to_another_user():
    assert "user = nobody" in rendered(as_root=True)
    assert "user =" not in rendered(as_root=False)


def test_the_supervisor_reads_back_what_was_meant():
    parser = UnhosedConfigParser()
    parser.read_string(rendered())
    section = dict(parser.items("program:mlflow"))
    environment = dict_of_key_value_pairs(section["environment"].replace("%%", "%"))
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://m:p%40w@127.0.0.1/m"
    assert environment["HEADRACE_STACK_PART"] == "mlflow"


@pytest.mark.parametrize("value", ['a"b', "a'b", "a\nb"])
def test_a_value_the_file_cannot_hold_is_refused(value):
    with pytest.raises(StackError, match="KEY"):
        rendered(part(environment={"KEY": value}))


def test_a_path_that_reads_as_a_comment_is_refused():
    with pytest.raises(StackError, match="comment"):
        rendered(part(command=("/srv/my #1 project/python",)))


def test_a_home_too_deep_for_a_socket_is_refused_with_the_setting():
    with pytest.raises(StackError, match="HEADRACE_HOME"):
        rendered(home=Path("/" + "deep/" * 30))
