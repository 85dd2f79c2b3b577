"""A part's log, its end and what comes after."""

from itertools import islice

from headrace.stack.logs import follow, last_lines


def test_the_last_lines_are_shown(tmp_path):
    log = tmp_path / "mlflow.log"
    log.write_text("one\ntwo\nthree\n")
    assert last_lines(log, 2) == ["two", "three"]
    assert last_lines(tmp_path / "never-started.log", 2) == []


def test_following_goes_on_with_what_is_added_and_with_a_rotated_log(tmp_path):
    log = tmp_path / "mlflow.log"
    log.write_text("one\ntwo\n")
    lines = follow(log, 1)
    assert next(lines) == "two"
    writer = log.open("a")
    writer.write("three\nfour\n")
    writer.close()
    assert list(islice(lines, 2)) == ["three", "four"]
    log.write_text("new\n")
    assert next(lines) == "new"
