"""Measuring a candidate: everything a verdict needs to know, on the validation split alone.

It touches the store and nothing else, so that it can run in a pod: the networks lie where serving reads them
(`usecases.publish`), and who the champion is has been decided before.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headrace.errors import CorruptError, NotFoundError
from headrace.ports.models import ModelRunner, OpenModel, Probabilities
from headrace.ports.shards import SplitReader
from headrace.ports.source import Batch, Images
from headrace.ports.store import ObjectStore
from headrace.specs.dataset import Split
from headrace.specs.gate import BehaviourEvidence, CostEvidence, Evidence, FunctionalityEvidence, GateSpec
from headrace.specs.step import EvaluateStep
from headrace.usecases.gate.behaviour import changes, hostile_inputs, most_typical
from headrace.usecases.gate.compare import Champion, champion_evidence, confusion, slices
from headrace.usecases.gate.predictions import Predictions, load_predictions, store_predictions
from headrace.usecases.gate.statistics import answers_of, calibration_bins
from headrace.usecases.publish import published_prefix

_BATCH = 500
"""Examples in one prediction; bounds the memory of a network's inner layers."""
_CHANGED_ROWS = 1000
"""Examples that are changed and asked again, spread evenly over the split."""
_WARM_UP, _ROUNDS, _TIMED = 20, 3, 200


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """Measures candidates; its fields are what it works with: of the platform, the store alone.

    Attributes:
        timer: seconds, from any beginning.
    """

    store: ObjectStore
    models: ModelRunner
    splits: SplitReader
    timer: Callable[[], float] = time.perf_counter

    def evaluate(self, step: EvaluateStep) -> Evidence:
        """Measure the candidate, and the champion on the same examples. The predictions of both are kept, and used again.

        Raises:
            NotFoundError: the dataset version, or the published files of either, are not in the store.
            CorruptError: a network does not take the examples, or does not answer with a probability for each class.
        """
        gate, classes = step.pipeline.gate, step.pipeline.dataset.classes
        pieces = self.splits.read(step.dataset, Split.VALIDATION)
        found = self._predictions(step, step.version, pieces)
        champion = None if step.champion is None else Champion(step.champion, self._predictions(step, step.champion, pieces))
        network = self._file(step, step.version, "model.onnx")
        model = self.models.open(network)
        return Evidence(
            model=step.model,
            version=step.version,
            dataset_version=step.dataset.version,
            rows=len(found.labels),
            right=int(found.right.sum()),
            champion=champion_evidence(found, champion, gate) if champion else None,
            slices=slices(found, champion, classes),
            confusion=confusion(found, len(classes)),
            calibration=calibration_bins(found.probabilities, found.labels),
            behaviour=_behaviour(model, pieces, found, step),
            cost=self._cost(network, model, pieces[0].images[:1]),
            parity=_parity(self._file(step, step.version, "golden.npz"), model),
        )

    def _predictions(self, step: EvaluateStep, version: int, pieces: Sequence[Batch]) -> Predictions:
        """A version's answers on the split: kept ones, or new ones, which are kept."""
        try:
            return load_predictions(self.store, step.dataset, step.model, version)
        except NotFoundError:
            model = self.models.open(self._file(step, version, "model.onnx"))
        labels = np.concatenate([piece.labels for piece in pieces]).astype(np.int64)
        found = Predictions(np.concatenate([_ask(model, piece.images) for piece in pieces]), labels)
        classes = len(step.pipeline.dataset.classes)
        if found.probabilities.shape[1] != classes:
            raise CorruptError(
                f"the network answers with {found.probabilities.shape[1]} numbers, the dataset has {classes} classes",
                where=f"version {version} of {step.model}",
                remedy="A model's versions share one set of classes; give another one another name (`ensemble.model`).",
            )
        store_predictions(self.store, step.dataset, step.model, version, found)
        return found

    def _file(self, step: EvaluateStep, version: int, name: str) -> Path:
        return self.store.fetch(published_prefix(step.model, version) + name)

    def _cost(self, network: Path, model: OpenModel, example: Images) -> CostEvidence:
        """The file's size, and how long single predictions take, one after the other."""
        for _ in range(_WARM_UP):
            model.predict(example)
        rounds = [self._timed(model, example) for _ in range(_ROUNDS)]
        # Of several rounds the fastest: what else runs on the machine can only add to what the network takes.
        p50, p99 = np.quantile(rounds, [0.5, 0.99], axis=1).min(axis=1) * 1000
        return CostEvidence(size_bytes=network.stat().st_size, p50_ms=float(p50), p99_ms=float(p99))

    def _timed(self, model: OpenModel, example: Images) -> list[float]:
        """Seconds of single predictions."""
        seconds = []
        for _ in range(_TIMED):
            started = self.timer()
            model.predict(example)
            seconds.append(self.timer() - started)
        return seconds


def _ask(model: OpenModel, images: Images) -> Probabilities:
    """What the model answers for any number of images, asked in batches."""
    return np.concatenate([model.predict(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)])


def _behaviour(model: OpenModel, pieces: Sequence[Batch], found: Predictions, step: EvaluateStep) -> BehaviourEvidence:
    gate, classes = step.pipeline.gate, step.pipeline.dataset.classes
    typical = most_typical(pieces, classes=len(classes), per_class=gate.functionality.per_class)
    wrong = Counter(classes[label] for label in found.labels[typical[~found.right[typical]]])
    return BehaviourEvidence(
        flips=_flips(model, pieces, found, gate),
        functionality=FunctionalityEvidence(rows=len(typical), right=len(typical) - wrong.total(), wrong=dict(wrong)),
        hostile={name: _sum_error(_ask(model, inputs)) for name, inputs in hostile_inputs(pieces[0].images.shape[1:]).items()},
    )


def _flips(model: OpenModel, pieces: Sequence[Batch], found: Predictions, gate: GateSpec) -> dict[str, float]:
    """The share of answers that differ from the plain ones after each change, over some of the examples."""
    images = np.concatenate([piece.images for piece in pieces])
    some = np.unique(np.linspace(0, len(images) - 1, _CHANGED_ROWS).astype(np.int64))
    plain = found.answers[some]
    return {
        name: float((answers_of(_ask(model, change(images[some]))) != plain).mean())
        for name, change in changes(gate.invariance).items()
    }


def _sum_error(probabilities: Probabilities) -> float | None:
    """How far from 1 a row sums up at worst; None when a number is not finite."""
    if not np.isfinite(probabilities).all():
        return None
    return float(np.abs(probabilities.sum(axis=1) - 1).max())


def _parity(golden: Path, model: OpenModel) -> float | None:
    """The largest difference to what the trained network answered; None when that, or an answer, is not there."""
    with np.load(golden) as arrays:
        if "reference" not in arrays:
            return None
        difference = float(np.abs(model.predict(arrays["inputs"]) - arrays["reference"]).max())
    return difference if np.isfinite(difference) else None
