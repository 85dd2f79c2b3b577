"""The stack of one installation, built from its settings and secrets: the one place that knows which parts there are."""

from __future__ import annotations

from headrace.config import Settings
from headrace.stack.airflow import airflow_parts, airflow_setups
from headrace.stack.catalogue import catalogue_setup
from headrace.stack.engine import engine_part
from headrace.stack.mlflow import mlflow_part, mlflow_setup
from headrace.stack.part import Assembly
from headrace.stack.postgres import postgres_part, postgres_setups
from headrace.stack.secrets import Secrets


def assemble(settings: Settings, secrets: Secrets) -> Assembly:
    """Build the parts and set-ups; nothing is started or written."""
    return Assembly(
        parts=(
            postgres_part(settings, secrets),
            mlflow_part(settings, secrets),
            *airflow_parts(settings, secrets),
            engine_part(settings),
        ),
        setups=(
            *postgres_setups(settings, secrets),
            catalogue_setup(settings),
            mlflow_setup(settings, secrets),
            *airflow_setups(settings, secrets),
        ),
    )
