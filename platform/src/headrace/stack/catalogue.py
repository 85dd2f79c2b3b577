"""Headrace's own tables, brought up to date before anything may ask for a dataset."""

from __future__ import annotations

from headrace.config import Settings
from headrace.stack.part import Setup
from headrace.stack.postgres import DATABASES

CATALOGUE_SCHEMA = "headrace-schema"


def catalogue_setup(settings: Settings) -> Setup:
    """Migrate headrace's database; costs a query when there is nothing to do."""

    def schema() -> None:
        from headrace.adapters.postgres.migrations import upgrade

        upgrade(settings.database())

    return Setup(name=CATALOGUE_SCHEMA, title="upgrading headrace's database", run=schema, needs=(DATABASES,))
