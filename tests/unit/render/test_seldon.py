"""An ensemble as a SeldonDeployment, compared whole."""

import copy
from pathlib import Path

import pytest
import yaml

from golden import assert_golden
from headrace.render.seldon import ServingTarget, document_digest, members_of, render_deployment
from headrace.specs.serving import EnsembleSpec, SlotMember

GOLDEN = Path(__file__).parent / "golden"
TARGET = ServingTarget(namespace="ml")


def _members(count):
    return [
        SlotMember(
            slot=slot,
            model="fashion-mnist",
            version=slot + 6,
            run_id=f"{slot:032x}",
            location=f"/models/fashion-mnist/{slot + 6}/",
            digest=f"{slot:064x}",
        )
        for slot in range(1, count + 1)
    ]


@pytest.mark.parametrize(("name", "count", "replicas"), [("ensemble-of-two", 2, 2), ("single-model", 1, 1)])
def test_the_whole_document(name, count, replicas):
    ensemble = EnsembleSpec(name="fashion-mnist", model="fashion-mnist", replicas=replicas)
    document = render_deployment(ensemble, _members(count), TARGET)
    assert_golden(GOLDEN / f"seldon-{name}.yaml", yaml.safe_dump(document, sort_keys=False))


def test_members_survive_the_rendering():
    document = render_deployment(EnsembleSpec(name="e", model="m"), _members(2), TARGET)
    assert members_of(document) == tuple(_members(2))
    del document["metadata"]["annotations"]
    assert members_of(document) == ()


def test_a_digest_tells_what_serves_and_nothing_else():
    ensemble = EnsembleSpec(name="e", model="m")
    document = render_deployment(ensemble, _members(2), TARGET)
    renamed = copy.deepcopy(document)
    renamed["metadata"]["labels"]["team"] = "blue"
    assert document_digest(renamed) == document_digest(document)
    assert document_digest(render_deployment(ensemble, _members(1), TARGET)) != document_digest(document)
    more = ensemble.model_copy(update={"replicas": 3})
    assert document_digest(render_deployment(more, _members(2), TARGET)) != document_digest(document)
