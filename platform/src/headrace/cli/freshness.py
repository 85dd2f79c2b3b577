"""`headrace freshness PIPELINE`: would the cached dataset be used now, and why?"""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.render import show_json
from headrace.cli.run import pipeline_file
from headrace.specs.pipeline import load_pipeline


def freshness(
    pipeline: Annotated[str, typer.Argument(help="The pipeline's name, as in dags/NAME.yaml.")] = "fashion_mnist",
    full: Annotated[
        bool, typer.Option("--full", help="Hash every shard again, instead of trusting the store's listing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Tell whether the pipeline's cached dataset is fresh; nothing is changed."""
    from headrace.bootstrap import Platform

    platform = Platform()
    spec = load_pipeline(pipeline_file(platform.settings.project, pipeline))
    found = platform.check_freshness(spec, full=full)
    if as_json:
        show_json(found.model_dump(mode="json"))
    else:
        typer.echo(f"{spec.dataset.name}: {found.reason}")
