"""Small valid specs for tests, so that each test states only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from headrace.specs.dataset import DatasetVersion, Split
from headrace.specs.gate import Bound, Check, Verdict
from headrace.specs.pipeline import PipelineSpec
from headrace.specs.training import Candidate

DIGEST = "0" * 64


def pipeline(**changes: Any) -> PipelineSpec:
    """A pipeline of three members and an ensemble of two; `changes` replace top-level keys."""
    raw = {"name": "x.gz", "sha256": DIGEST}
    pair = {"images": raw, "labels": raw}
    content: dict[str, Any] = {
        "name": "shoes",
        "description": "Shoes and bags.",
        "dataset": {"name": "shoes", "classes": ["shoe", "bag"], "source": {"train": pair, "test": pair}},
        "members": {name: {"architecture": "cnn", "description": f"Member {name}."} for name in ("first", "second", "third")},
        "ensemble": {"name": "shoes", "model": "shoes"},
    }
    return PipelineSpec.model_validate(content | changes)


def dataset_version() -> DatasetVersion:
    """A committed version of the pipeline's dataset."""
    return DatasetVersion(
        dataset="shoes",
        version="20261121T110052Z-1f3a9c",
        location="datasets/shoes/20261121T110052Z-1f3a9c/",
        digest=DIGEST,
        rows={Split.TRAIN: 80, Split.VALIDATION: 20, Split.TEST: 10},
        created=datetime(2026, 11, 21, 11, tzinfo=UTC),
    )


def candidate(member: str, version: int, **metrics: float) -> Candidate:
    """A candidate of the pipeline's model."""
    return Candidate(member=member, model="shoes", version=version, run_id=f"run-{member}", metrics=metrics)


def verdict(version: int, *, passed: bool = True) -> Verdict:
    """A gate's verdict on a version of the pipeline's model, by one check."""
    figure = 0.9 if passed else 0.4
    check = Check(name="floor", figure=figure, bound=Bound.AT_LEAST, threshold=0.5, passed=passed)
    return Verdict(model="shoes", version=version, champion=None, passed=passed, checks=(check,), page="gate/page.html")
