"""A run in words: the parameters, tags and description that a person reads in MLflow."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import headrace
from headrace.specs.training import TrainingJob

GIT_COMMIT_TAG = "mlflow.source.git.commit"


def params(job: TrainingJob, *, parameters: int, batch_size: int) -> dict[str, object]:
    """What the member was trained with.

    Args:
        job: the training job.
        parameters: numbers in the network.
        batch_size: the global batch as it was, a multiple of the workers.
    """
    training = job.training
    return {
        "architecture": job.member.architecture.value,
        "network_parameters": parameters,
        "epochs": training.epochs,
        "batch_size": batch_size,
        "workers": training.workers,
        "optimizer": "adam",
        "learning_rate": job.learning_rate,
        "schedule": training.schedule.value,
        "seed": training.seed,
        "dataset": job.dataset.dataset,
        "dataset_version": job.dataset.version,
    }


def code_version(project: Path) -> dict[str, str]:
    """Tags that say which code trained: headrace's version and, in a git checkout, the commit."""
    found = {"headrace.version": headrace.__version__}
    try:
        git = subprocess.run(
            ["git", "-C", str(project), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        # An image has no git and no checkout: the version alone says which code it is.
        return found
    return {**found, GIT_COMMIT_TAG: git.stdout.strip()}


def note(job: TrainingJob, outcome: Mapping[str, float] | None = None) -> str:
    """The description on top of the run, in Markdown; with the outcome once there is one."""
    training, dataset = job.training, job.dataset
    text = (
        f"**{job.name}** ({job.member.architecture.value}): {job.member.description}\n\n"
        f"Trained on version `{dataset.version}` of dataset `{dataset.dataset}` for {training.epochs} epochs by "
        f"{training.workers} worker(s) in step. Images go in as they are (uint8); preprocessing is part of the network.\n"
    )
    if outcome is None:
        return text
    return text + (
        f"\n| split | accuracy | loss |\n|---|---|---|\n"
        f"| validation (decides) | {outcome['validation_accuracy']:.4f} | {outcome['validation_loss']:.4f} |\n"
        f"| test (reported only) | {outcome['test_accuracy']:.4f} | {outcome['test_loss']:.4f} |\n"
    )
