"""A gate over a small data set and small real networks: everything real but the store, the registry and the tracking server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from builders import pipeline
from fakes import FakeStore
from headrace.adapters.dataset_reader import StoredSplits
from headrace.adapters.onnx_model import OnnxRunner
from headrace.specs.dataset import Split
from headrace.specs.gate import Evidence, Verdict
from headrace.specs.pipeline import PipelineSpec
from headrace.specs.step import EvaluateStep
from headrace.usecases.gate.judge import judge
from headrace.usecases.gate.measure import Evaluator
from headrace.usecases.publish import published_prefix
from training_data import CLASSES, smooth, write_version

ROWS = {Split.TRAIN: 10, Split.VALIDATION: 2000, Split.TEST: 50}
MODEL = "shoes"


class WatchedStore(FakeStore):
    """A store that remembers what was read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.read: set[str] = set()

    def get_bytes(self, key: str) -> bytes:
        self.read.add(key)
        return super().get_bytes(key)

    def fetch(self, key: str) -> Any:
        self.read.add(key)
        return super().fetch(key)


class GateWorld:
    """A store with a dataset version and published networks, and what measures and judges them."""

    def __init__(self, timer: Callable[[], float] | None = None) -> None:
        self.store = WatchedStore()
        self.dataset = write_version(self.store, rows=ROWS, examples=smooth)
        reader = StoredSplits(self.store)
        self.evaluator = Evaluator(
            store=self.store, models=OnnxRunner(), splits=reader, **({"timer": timer} if timer is not None else {})
        )

    def publish(self, version: int, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            self.store.put_bytes(published_prefix(MODEL, version) + name, content)

    def pipeline(self, **gate: Any) -> PipelineSpec:
        """A pipeline of the data set's classes with that gate."""
        content = pipeline().model_dump()
        content["dataset"]["classes"] = CLASSES
        return pipeline(dataset=content["dataset"], gate=gate)

    def step(self, version: int, champion: int | None = None, **gate: Any) -> EvaluateStep:
        return EvaluateStep(
            pipeline=self.pipeline(**gate),
            run="r1",
            member="first",
            model=MODEL,
            version=version,
            champion=champion,
            dataset=self.dataset,
        )

    def evaluate(self, version: int, champion: int | None = None, **gate: Any) -> Evidence:
        """Measure, and pass the evidence through JSON as a step does."""
        found = self.evaluator.evaluate(self.step(version, champion, **gate))
        return Evidence.model_validate_json(found.model_dump_json())

    def judge(self, version: int, champion: int | None = None, **gate: Any) -> Verdict:
        return judge(self.evaluate(version, champion, **gate), self.pipeline(**gate).gate)


def failed(verdict: Verdict) -> set[str]:
    """The names of the checks that do not hold."""
    return {check.name for check in verdict.failed}
