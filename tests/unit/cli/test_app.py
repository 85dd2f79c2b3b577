"""The command line's edge: which commands there are, and what errors become."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headrace.cli import app as cli
from headrace.errors import NotFoundError

HEADRACE = Path(sys.executable).parent / "headrace"


def test_help_lists_every_command():
    shown = CliRunner().invoke(cli.application(), ["--help"]).output
    platform = ("up", "down", "status", "logs", "run", "predict", "mirror")
    deployments = ("serving", "history", "diff", "promote", "rollback", "release", "reconcile")
    assert all(command in shown for command in platform + deployments)


def test_an_unknown_command_is_refused():
    assert CliRunner().invoke(cli.application("depoly"), ["depoly"]).exit_code == 2


def test_an_error_becomes_its_message_on_stderr_and_its_exit_code(monkeypatch, capsys):
    def failing():
        raise NotFoundError("there is no part redis", where="headrace logs", remedy="Its parts are: mlflow.")

    monkeypatch.setattr(cli, "application", lambda *wanted: failing)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == NotFoundError.exit_code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "error: there is no part redis" in shown.err
    assert "where:  headrace logs" in shown.err
    assert "remedy: Its parts are: mlflow." in shown.err


def test_looking_at_a_stack_that_never_ran_creates_nothing(tmp_path):
    home = tmp_path / "home"
    command = [HEADRACE, "status", "--json"]
    done = subprocess.run(command, env={"HEADRACE_HOME": str(home)}, capture_output=True, text=True, check=True)
    assert '"state": "stopped"' in done.stdout
    assert not home.exists()
