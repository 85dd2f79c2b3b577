"""The documents an engine keeps: whole, one after the other, and only where they belong."""

import json

import pytest

from headrace.serving.engine.document import parse
from headrace.serving.engine.state import DocumentStore, Kept


def deployment(name="graph", component="module.Class"):
    env = [{"name": "MODEL_NAME", "value": component}]
    predictor = {"graph": {"name": "node"}, "componentSpecs": [{"spec": {"containers": [{"name": "node", "env": env}]}}]}
    return parse({"spec": {"predictors": [predictor]}}, namespace="space", name=name)


@pytest.fixture
def store(tmp_path):
    return DocumentStore(tmp_path)


def test_what_is_kept_is_what_is_loaded(store):
    with_live = Kept(desired=deployment("a"), live=deployment("a", component="module.Former"))
    without = Kept(desired=deployment("b"), live=None)
    store.save(with_live)
    store.save(without)
    assert list(store.load()) == [with_live, without]


def test_the_newest_replaces_what_was_kept_and_a_deleted_one_is_gone(store):
    store.save(Kept(desired=deployment(), live=None))
    newest = Kept(desired=deployment(component="module.Other"), live=deployment())
    store.save(newest)
    assert list(store.load()) == [newest]
    store.delete("space", "graph")
    store.delete("space", "graph")
    assert list(store.load()) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"desired": null, "live": null}', '{"desired": {"spec": 1}, "live": null}'])
def test_what_cannot_be_read_is_complained_of_and_left_alone(store, tmp_path, caplog, content):
    kept = Kept(desired=deployment(), live=None)
    store.save(kept)
    (tmp_path / "space" / "broken.json").write_text(content)
    assert list(store.load()) == [kept]
    assert "broken.json cannot be restored" in caplog.text
    assert (tmp_path / "space" / "broken.json").read_text() == content


def test_a_write_that_was_cut_off_leaves_the_former_one(store, tmp_path):
    kept = Kept(desired=deployment(), live=None)
    store.save(kept)
    (tmp_path / "space" / "graph.tmp").write_text(json.dumps({"desired": {}})[:5])
    assert list(store.load()) == [kept]
