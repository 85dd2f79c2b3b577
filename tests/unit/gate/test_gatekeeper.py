"""The gate from end to end over fakes: who is the champion, what is asked to be measured, and what is left behind."""

import pytest

from builders import candidate, dataset_version, pipeline
from fakes import FakeStore
from fakes_promotion import FakeRegistry, FakeServing
from fakes_training import FakeTracking
from gate_evidence import evidence
from headrace.errors import CorruptError
from headrace.render.seldon import ServingTarget, render_deployment
from headrace.specs.gate import GateSpec
from headrace.specs.step import EvaluateStep
from headrace.usecases.gate.gatekeeper import Gatekeeper
from headrace.usecases.gate.record import Recorder
from headrace.usecases.gate.verdict_log import log_lines
from headrace.usecases.publish import publish, published_prefix

SPACE = "test"
FILES = {"model.onnx": b"onnx", "model.json": b"{}", "golden.npz": b"golden"}


class World:
    """A gatekeeper over fakes."""

    def __init__(self):
        self.registry, self.tracking, self.serving, self.store = FakeRegistry(), FakeTracking(), FakeServing(), FakeStore()
        recorder = Recorder(registry=self.registry, tracking=self.tracking)
        self.gatekeeper = Gatekeeper(
            registry=self.registry, serving=self.serving, store=self.store, recorder=recorder, namespace=SPACE
        )
        self.pipeline = pipeline(dataset={**pipeline().model_dump()["dataset"], "classes": ["shoe", "bag", "hat"]})

    def register(self, member, *, run, accuracy=0.9):
        run_id = self.tracking.open_run(experiment="shoes", name=member, key=f"{run}/{member}", tags={})
        tags = {"headrace.member": member, "headrace.run": run, "validation_accuracy": f"{accuracy:.4f}"}
        found = self.registry.register(
            model="shoes", model_uri=f"models:/m-{run_id}", run_id=run_id, description=f"**{member}**", tags=tags
        )
        self.registry.files["shoes", found.version] = dict(FILES)
        return candidate(member, found.version, validation_accuracy=accuracy).model_copy(update={"run_id": run_id})

    def serve(self, *candidates):
        members = [
            publish("shoes", each.version, slot=slot, registry=self.registry, store=self.store)
            for slot, each in enumerate(candidates, start=1)
        ]
        self.serving.live[SPACE, "shoes"] = render_deployment(self.pipeline.ensemble, members, ServingTarget(namespace=SPACE))

    def prepare(self, found, run="r2"):
        return self.gatekeeper.prepare(self.pipeline, found, run=run, dataset=dataset_version())

    def conclude(self, found, **changes):
        step = self.prepare(found)
        measured = evidence(version=found.version, **changes)
        return self.gatekeeper.conclude(step, measured, run_id=found.run_id)


@pytest.fixture
def world():
    return World()


def test_what_is_measured_is_published_first(world):
    found = world.register("first", run="r2")
    step = world.prepare(found)
    assert {key.key for key in world.store.list(published_prefix("shoes", found.version))} > {
        published_prefix("shoes", found.version) + name for name in FILES
    }
    assert step == EvaluateStep(
        pipeline=world.pipeline,
        run="r2",
        member="first",
        model="shoes",
        version=found.version,
        champion=None,
        dataset=dataset_version(),
    )


def test_the_champion_is_read_off_what_serves_not_off_the_aliases(world):
    former, better = world.register("first", run="r1"), world.register("second", run="r1", accuracy=0.95)
    world.serve(former, better)
    world.registry.set_alias("shoes", "slot-1", better.version)
    assert world.prepare(world.register("second", run="r2")).champion == better.version
    assert world.prepare(world.register("third", run="r2")).champion == former.version


def test_a_serving_version_that_the_registry_has_lost_may_still_be_the_champion(world):
    lost = world.register("first", run="r1")
    world.serve(lost)
    world.registry._versions["shoes"].clear()
    other = world.registry.register(model="other", model_uri="models:/m-x", run_id="x", description="", tags={})
    world.registry._versions["shoes"].append(other.__class__(model="shoes", version=2, run_id="run-9", tags={}))
    world.registry.files["shoes", 2] = dict(FILES)
    assert world.prepare(candidate("first", 2)).champion == lost.version


def test_a_member_of_another_model_is_none(world):
    world.serve(world.register("first", run="r1"))
    ensemble = world.pipeline.ensemble.model_copy(update={"model": "boots"})
    world.pipeline = world.pipeline.model_copy(update={"ensemble": ensemble})
    assert world.prepare(world.register("first", run="r2")).champion is None


def test_what_two_members_of_a_run_measure_does_not_meet(world):
    first, second = (world.prepare(world.register(member, run="r2")) for member in ("first", "second"))
    assert first.result_key != second.result_key
    assert first.identity != second.identity
    assert first.result_key == "runs/shoes/r2/evaluate.first/result.json"


def test_a_version_that_could_not_serve_is_not_measured(world):
    found = world.register("first", run="r2")
    del world.registry.files["shoes", found.version]["golden.npz"]
    with pytest.raises(CorruptError, match=r"has no golden\.npz"):
        world.prepare(found)


def test_a_verdict_is_left_as_tags_a_page_and_a_table(world):
    found = world.register("first", run="r2")
    verdict = world.conclude(found, right=100)
    registered = world.registry.version("shoes", found.version)
    assert not verdict.passed
    assert registered.tags["headrace.gate"] == "failed"
    assert registered.tags["headrace.gate.floor"] == "0.3333 (at least 0.5) FAILED"
    assert registered.tags["headrace.gate.parity"] == "1.2e-07 (at most 0.0001) ok"
    page = world.tracking.runs[found.run_id].pages[f"gate/shoes-{found.version}.html"]
    assert "FAILED" in page
    assert registered.description.startswith("**first**\n\n### Gate: failed\n\n| check |")
    assert f"](#/runs/{found.run_id}/artifacts/gate/shoes-{found.version}.html)" in registered.description


def test_a_later_verdict_takes_the_place_of_the_earlier_and_leaves_what_people_wrote(world):
    found = world.register("first", run="r2")
    world.conclude(found, right=100)
    world.conclude(found)
    registered = world.registry.version("shoes", found.version)
    assert registered.tags["headrace.gate"] == "passed"
    assert registered.description.count("### Gate: ") == 1
    assert registered.description.startswith("**first**\n\n### Gate: passed")
    assert "FAILED" not in registered.description


def test_a_check_that_is_no_longer_asked_for_leaves_no_tag(world):
    found = world.register("first", run="r2")
    world.conclude(found)
    world.pipeline = world.pipeline.model_copy(update={"gate": GateSpec(parity=None)})
    world.conclude(found)
    tags = world.registry.version("shoes", found.version).tags
    assert "headrace.gate.latency" in tags
    assert "headrace.gate.parity" not in tags
    assert tags["headrace.member"] == "first"


def test_a_version_does_not_count_as_passed_while_a_later_verdict_is_recorded(world, monkeypatch):
    found = world.register("first", run="r2")
    world.conclude(found)
    monkeypatch.setattr(world.tracking, "log_page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        world.conclude(found, right=100)
    assert not [tag for tag in world.registry.version("shoes", found.version).tags if tag.startswith("headrace.gate")]


def test_the_tag_that_says_it_is_all_there_comes_last(world, monkeypatch):
    found = world.register("first", run="r2")
    written, set_tag = [], world.registry.set_tag

    def note(model, version, tag, value):
        written.append(tag)
        set_tag(model, version, tag, value)

    monkeypatch.setattr(world.registry, "set_tag", note)
    verdict = world.conclude(found)
    assert written == [*(f"headrace.gate.{check.name}" for check in verdict.checks), "headrace.gate"]


def test_a_log_says_what_failed_apart_from_what_holds(world):
    verdict = world.conclude(world.register("first", run="r2"), right=100)
    lines = list(log_lines(verdict))
    assert lines[0] == ("version 1 of shoes fails its gate, held against version 3", False)
    assert [line for line, holds in lines[1:] if not holds] == [
        "  floor: 0.3333 (at least 0.5) FAILED: 100 of 300 validation examples right"
    ]
    assert len(lines) == 1 + len(verdict.checks)
