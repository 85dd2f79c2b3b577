"""What the chart renders, as reviewed: the default whole, other value sets as their difference from it. `make golden` renews."""

import difflib
from pathlib import Path

import pytest

from golden import assert_golden
from helm.chart import CHART, VALUE_SETS, identity, reviewed

GOLDEN = Path(__file__).parent / "golden"


def test_the_default_renders_as_reviewed(chart):
    assert_golden(GOLDEN / "default.yaml", reviewed(chart.documents()))


@pytest.mark.parametrize("value_set", VALUE_SETS[1:])
def test_other_values_render_as_reviewed(chart, value_set):
    default = reviewed(chart.documents()).splitlines()
    other = reviewed(chart.documents(value_set)).splitlines()
    difference = difflib.unified_diff(default, other, "default", value_set, lineterm="", n=2)
    assert_golden(GOLDEN / f"{value_set}.diff", "\n".join(line.rstrip() for line in difference) + "\n")


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_no_two_objects_share_a_name(chart, value_set):
    names = [identity(document) for document in chart.documents(value_set)]
    assert len(names) == len(set(names))


def test_helm_finds_nothing_to_complain_about(chart):
    done = chart.run("lint", "--strict", str(CHART), "--kube-version", "1.34.0")
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


def test_the_longest_name_of_a_release_still_fits(chart):
    longest = chart.run("template", "r" * 36, str(CHART), "--kube-version", "1.34.0")
    assert longest.returncode == 0, longest.stderr
    names = [line.split()[1] for line in longest.stdout.splitlines() if line.startswith("  name: ")]
    assert max(map(len, names)) <= 63
    longer = chart.run("template", "r" * 37, str(CHART), "--kube-version", "1.34.0")
    assert "longer than 36 characters" in longer.stderr
