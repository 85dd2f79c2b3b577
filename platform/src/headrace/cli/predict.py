"""`headrace predict`: ask the endpoint about test images, and show the truth beside every vote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from headrace.cli.run import pipeline_file
from headrace.errors import InvalidSpecError, NotFoundError
from headrace.specs.dataset import Split
from headrace.specs.pipeline import PipelineSpec, load_pipeline

if TYPE_CHECKING:
    from headrace.bootstrap import Platform

_BATCH = 500


@dataclass(frozen=True)
class Answer:
    """One example's answer: class names, and the aggregate's probability."""

    row: int
    truth: str
    votes: dict[str, str]
    aggregate: str
    probability: float


def predict(
    pipeline: Annotated[str, typer.Argument(help="The pipeline whose ensemble is asked.")] = "fashion_mnist",
    count: Annotated[int, typer.Option(min=1, help="How many test images, from the first.")] = 10,
    accuracy: Annotated[
        bool, typer.Option("--accuracy", help="Ask about the whole test split; print only the accuracy.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Ask the endpoint about images of the latest dataset version's test split."""
    from headrace.bootstrap import Platform

    platform = Platform()
    spec = load_pipeline(pipeline_file(platform.settings.project, pipeline))
    answers = ask(platform, spec, count=None if accuracy else count)
    right = sum(answer.aggregate == answer.truth for answer in answers)
    summary = {"rows": len(answers), "right": right, "accuracy": right / len(answers)}
    console = Console()
    if as_json:
        typer.echo(json.dumps(summary if accuracy else {**summary, "answers": [vars(answer) for answer in answers]}))
    elif accuracy:
        console.print(
            f"test accuracy of the aggregate through the endpoint: [bold]{right / len(answers):.4f}[/] ({right}/{len(answers)})"
        )
    else:
        console.print(_table(spec, answers))


def ask(platform: Platform, spec: PipelineSpec, *, count: int | None) -> list[Answer]:
    """Send test images in batches and read the replies.

    Args:
        platform: the installation.
        spec: the pipeline.
        count: how many, from the first; all of them when None.

    Raises:
        NotFoundError: there is no dataset version, or nothing serves.
        InvalidSpecError: more rows are asked for than there are.
    """
    images, labels = _test_split(platform, spec)
    if count is not None and count > len(images):
        raise InvalidSpecError(f"the test split has {len(images)} rows, not {count}", where=spec.dataset.name)
    answers: list[Answer] = []
    for start in range(0, count or len(images), _BATCH):
        rows = slice(start, min(start + _BATCH, count or len(images)))
        reply = platform.serving.predict(
            platform.settings.namespace, spec.ensemble.name, {"data": {"ndarray": images[rows].tolist()}}
        )
        truth = [spec.dataset.classes[label] for label in labels[rows]]
        answers += _answers(start, truth, reply)
    return answers


def _test_split(platform: Platform, spec: PipelineSpec) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images and labels of the latest version's test split."""
    from headrace.adapters.dataset_reader import open_split

    known = platform.catalogue.versions(spec.dataset.name)
    if not known:
        raise NotFoundError(f"dataset {spec.dataset.name} has no version", remedy=f"Run `headrace run {spec.name}` first.")
    shards = open_split(platform.store, known[-1], Split.TEST)
    return np.concatenate([images for images, _ in shards]), np.concatenate([labels for _, labels in shards])


def _answers(start: int, truth: list[str], reply: Any) -> list[Answer]:
    probabilities = np.asarray(reply["data"]["ndarray"])
    tags = reply["meta"]["tags"]
    return [
        Answer(
            row=start + offset,
            truth=truth[offset],
            votes={f"{vote['name']} (v{vote['version']})": vote["classes"][offset] for vote in tags["votes"]},
            aggregate=tags["classes"][offset],
            probability=float(probabilities[offset].max()),
        )
        for offset in range(len(truth))
    ]


def _table(spec: PipelineSpec, answers: list[Answer]) -> Table:
    table = Table(title=f"{spec.ensemble.name}: {len(answers)} test images through the endpoint")
    for heading in ("row", "truth", *answers[0].votes, "aggregate"):
        table.add_column(heading)
    for answer in answers:
        colour = "green" if answer.aggregate == answer.truth else "red"
        aggregate = f"[{colour}]{answer.aggregate} ({answer.probability:.2f})[/]"
        table.add_row(str(answer.row), answer.truth, *answer.votes.values(), aggregate)
    return table
