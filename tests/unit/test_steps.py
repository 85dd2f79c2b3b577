"""A step's command: what it is handed, what it refuses, and where its result goes."""

from types import SimpleNamespace

import pytest

from builders import candidate, dataset_version, pipeline, verdict
from fakes import FakeStore
from headrace.errors import InvalidSpecError
from headrace.specs.dataset import DatasetVersion
from headrace.specs.step import EvaluateStep, IngestStep, JoinStep, Placement, PromoteStep, run_name
from headrace.steps import __main__ as steps


@pytest.fixture
def platform(monkeypatch):
    """An installation whose ingest use case needs no world."""
    monkeypatch.setitem(steps.STEPS, "ingest", steps._step(IngestStep, lambda platform, step: dataset_version()))
    return SimpleNamespace(store=FakeStore())


def test_the_result_is_one_object_under_the_runs_prefix(platform):
    step = IngestStep(pipeline=pipeline(), run="r1")
    steps.run_step("ingest", step.model_dump_json(), platform)
    assert [item.key for item in platform.store.list("")] == ["runs/shoes/r1/ingest/result.json"]
    assert DatasetVersion.model_validate_json(platform.store.get_bytes(step.result_key)) == dataset_version()


def test_a_step_that_is_none_and_a_spec_that_is_none_are_refused(platform):
    with pytest.raises(InvalidSpecError, match=r"no step `digest`.*Known: ingest, evaluate, join, promote"):
        steps.run_step("digest", "{}", platform)
    with pytest.raises(InvalidSpecError, match="not a spec of step ingest"):
        steps.run_step("ingest", '{"colour": "red"}', platform)


def test_a_run_id_becomes_part_of_a_key():
    assert run_name("manual__2026-11-21T11:00:00+00:00") == "manual__2026-11-21T11-00-00-00-00"


def test_only_steps_that_turn_data_into_data_run_in_pods():
    assert {step.name: step.placement for step in (IngestStep, EvaluateStep, JoinStep, PromoteStep)} == {
        "ingest": Placement.POD,
        "evaluate": Placement.POD,
        "join": Placement.BESIDE_SCHEDULER,
        "promote": Placement.BESIDE_SCHEDULER,
    }


def test_a_dataset_is_ingested_by_one_step_at_a_time_whichever_run_wants_it():
    first, second = (IngestStep(pipeline=pipeline(name=name), run=name) for name in ("shoes", "boots"))
    assert first.identity == second.identity
    promotions = [
        PromoteStep(pipeline=pipeline(), run=run, candidates=(), dataset=dataset_version(), size=1, who="ada")
        for run in ("r1", "r2")
    ]
    assert promotions[0].identity != promotions[1].identity


def test_the_candidates_of_a_run_join_in_steps_of_their_own():
    first, second = (
        JoinStep(pipeline=pipeline(), run="r", candidate=candidate(name, 1), verdict=verdict(1), size=2, who="ada")
        for name in ("first", "second")
    )
    assert (first.identity, first.result_key) == ("shoes/r/join/first", "runs/shoes/r/join.first/result.json")
    assert (second.identity, second.result_key) == ("shoes/r/join/second", "runs/shoes/r/join.second/result.json")
