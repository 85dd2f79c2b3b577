"""Evidence written down: a candidate that passes every check of the default gate, to be changed where a test looks."""

from __future__ import annotations

from typing import Any

from headrace.specs.gate import Evidence

CLASSES = ("shoe", "bag", "<b>hat</b>")


def evidence(**changes: Any) -> Evidence:
    """Evidence on 300 examples of three classes against version 3; `changes` replace top-level keys."""
    content: dict[str, Any] = {
        "model": "shoes",
        "version": 7,
        "dataset_version": "20261121T110052Z-1f3a9c",
        "rows": 300,
        "right": 270,
        "champion": {
            "version": 3,
            "right": 267,
            "only_candidate": 12,
            "only_champion": 9,
            "loss_increase": -0.01,
            "least_loss_increase": -0.03,
        },
        "slices": [
            {"name": "shoe", "rows": 100, "right": 95, "champion_right": 94},
            {"name": "bag", "rows": 100, "right": 95, "champion_right": 90},
            {"name": "<b>hat</b>", "rows": 100, "right": 80, "champion_right": 83},
        ],
        "confusion": [[95, 3, 2], [2, 95, 3], [10, 10, 80]],
        "calibration": [
            {"rows": 0, "confidence": 0, "accuracy": 0},
            {"rows": 100, "confidence": 0.7, "accuracy": 0.8},
            {"rows": 200, "confidence": 0.97, "accuracy": 0.95},
        ],
        "behaviour": {
            "flips": {"shifted up by 1": 0.04, "brightness × 1.1": 0.01},
            "functionality": {"rows": 60, "right": 59, "wrong": {"<b>hat</b>": 1}},
            "hostile": {"all 0": 1e-7, "noise": 2e-7},
        },
        "cost": {"size_bytes": 377_600, "p50_ms": 0.05, "p99_ms": 0.21},
        "parity": 1.2e-7,
    }
    return Evidence.model_validate(content | changes)


def behaviour(**changes: Any) -> dict[str, Any]:
    """The behaviour of `evidence()` with some of it replaced."""
    return evidence().behaviour.model_dump() | changes
