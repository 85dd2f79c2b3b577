"""The page: all of a verdict, in one file that loads nothing."""

import re
from html.parser import HTMLParser

import pytest

from gate_evidence import CLASSES, behaviour, evidence
from headrace.render.gate_page import render_gate_page, verdict_table
from headrace.specs.gate import GateSpec
from headrace.usecases.gate.judge import judge

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Structure(HTMLParser):
    """Checks that what is opened is closed, and collects text and references."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.words, self.references = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [value for name, value in attributes if name in {"src", "href", "xlink:href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.references += [value for name, value in attributes if name in {"src", "href", "xlink:href"}]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def page(found, **gate):
    html = render_gate_page(judge(found, GateSpec.model_validate(gate)), found, CLASSES)
    structure = Structure()
    structure.feed(html)
    assert structure.open == []
    return html, structure


def test_every_check_stands_there_with_figure_threshold_and_outcome():
    found = evidence(right=100)
    _, structure = page(found)
    text = " ".join(structure.words)
    for check in judge(found, GateSpec()).checks:
        for words in (check.name, check.found, check.asked, check.detail):
            assert words in text
    assert structure.tags.count("svg") == 3
    assert [word for word in structure.words if word in {"ok", "FAILED"}].count("FAILED") == 1
    assert "version 3, which serves" in text


def test_it_loads_nothing_and_refers_to_itself_alone():
    html, structure = page(evidence())
    assert all(reference.startswith("#") for reference in structure.references)
    assert "script" not in structure.tags
    assert not re.search(r"url\((?!#)", html)
    assert "<?xml" not in html


def test_names_are_text_and_never_markup():
    html, structure = page(evidence())
    assert "b" not in structure.tags
    assert "<b>" not in html
    assert "<b>hat</b>" in " ".join(structure.words)


def test_a_name_is_no_formula():
    found = evidence(slices=[{"name": r"$\frac{bag}$", "rows": 300, "right": 270, "champion_right": 267}])
    assert r"$\frac{bag}$" in " ".join(page(found)[1].words)


def test_the_same_verdict_gives_the_same_page():
    assert page(evidence())[0] == page(evidence())[0]


@pytest.mark.parametrize(
    "change",
    [
        {"champion": None, "slices": [{"name": "shoe", "rows": 300, "right": 270}]},
        {"parity": None, "behaviour": behaviour(hostile={"all 0": None}, flips={})},
        {"confusion": [[0, 0, 0]] * 3, "calibration": [{"rows": 0, "confidence": 0, "accuracy": 0}]},
    ],
)
def test_there_is_a_page_whatever_is_missing(change):
    _, structure = page(evidence(**change))
    assert structure.tags.count("svg") == 3


def test_the_table_of_a_description_is_markdown():
    found = evidence(right=100)
    lines = verdict_table(judge(found, GateSpec())).splitlines()
    assert lines[0].count("|") == lines[1].count("|") == 5
    assert "| floor | 0.3333 | at least 0.5 | **FAILED** |" in lines
    assert "| parity | 1.2e-07 | at most 0.0001 | ok |" in lines
