"""`headrace mirror PIPELINE`: copy a pipeline's raw files into the store, for machines that cannot get them themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.render import show_json
from headrace.cli.run import pipeline_file
from headrace.specs.pipeline import load_pipeline

if TYPE_CHECKING:
    from headrace.specs.mirror import MirroredFile


def mirror(
    pipeline: Annotated[str, typer.Argument(help="The pipeline's name, as in dags/NAME.yaml.")] = "fashion_mnist",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Copy a pipeline's raw files into the store, where ingestion finds them when a machine has neither package nor internet.

    Run it once where the files can be had. It takes the store's settings alone; no part of the stack need run. Files that are
    mirrored already are left alone.
    """
    from rich.console import Console

    from headrace.bootstrap import Platform
    from headrace.specs.mirror import mirror_prefix

    platform = Platform()
    spec = load_pipeline(pipeline_file(platform.settings.project, pipeline))
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    copied = 0

    def show(file: MirroredFile) -> None:
        nonlocal copied
        copied += 1
        console.print(f"{copied} of {len(spec.dataset.source.files)}: {file.name}, {file.size:,} bytes")

    with console.status(f"{spec.dataset.name}: verifying and copying raw files"):
        manifest = platform.mirror(spec, progress=show)
    if as_json:
        show_json(manifest.model_dump(mode="json"))
    else:
        where = platform.store.uri(mirror_prefix(spec.dataset.name))
        typer.echo(
            f"{spec.dataset.name}: {len(manifest.files)} files {'mirrored' if copied else 'are mirrored already'} at {where}"
        )
