"""How a run says why it failed."""

from __future__ import annotations

FAILURE_TAG = "headrace.failure"
NOTE_TAG = "mlflow.note.content"
"""MLflow shows it as the run's description: https://mlflow.org/docs/latest/ml/tracking/tracking-api/#system-tags"""
_LIMIT = 5000
"""Characters of a tag."""


def failure_tags(reason: str) -> dict[str, str]:
    """The tags of a run that failed for that reason."""
    return {FAILURE_TAG: reason[-_LIMIT:], NOTE_TAG: f"**Failed.**\n\n```\n{reason}\n```"[:_LIMIT]}
