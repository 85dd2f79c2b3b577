"""The stack's secrets: generated once, one file each, readable by their owner alone."""

from __future__ import annotations

import base64
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from headrace.config import AIRFLOW_PASSWORD, POSTGRES_PASSWORD

Secrets = Mapping[str, str]

POSTGRES_ADMIN = "postgres-admin"
POSTGRES_AIRFLOW = "postgres-airflow"
POSTGRES_MLFLOW = "postgres-mlflow"
AIRFLOW_FERNET = "airflow-fernet"
AIRFLOW_JWT = "airflow-jwt"
AIRFLOW_API = "airflow-api"
MLFLOW_KEK = "mlflow-kek"

NAMES = (
    POSTGRES_ADMIN,
    POSTGRES_PASSWORD,
    POSTGRES_AIRFLOW,
    POSTGRES_MLFLOW,
    AIRFLOW_PASSWORD,
    AIRFLOW_FERNET,
    AIRFLOW_JWT,
    AIRFLOW_API,
    MLFLOW_KEK,
)

_PASSWORD_BYTES = 18
_KEY_BYTES = 32
_SIGNING_KEY_BYTES = 64  # Airflow signs its tokens with HMAC-SHA-512: RFC 7518, section 3.2


def ensure_secrets(folder: Path) -> Secrets:
    """Read every secret, generating those that are missing; the folder becomes 0700, the files 0600."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in NAMES:
        if not (folder / name).exists():
            write_private(folder / name, _generate(name))
    return {name: (folder / name).read_text().strip() for name in NAMES}


def known_secrets(folder: Path) -> Secrets:
    """Read the secrets there are, and generate nothing; a missing one is empty. For looking at a stack, not for starting it."""
    return {name: (folder / name).read_text().strip() if (folder / name).exists() else "" for name in NAMES}


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 atomically: it never exists with other content or a wider mode."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _generate(name: str) -> str:
    if name == AIRFLOW_FERNET:  # Fernet wants exactly 32 bytes in URL-safe base64, with its padding.
        return base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    if name in {AIRFLOW_JWT, AIRFLOW_API, MLFLOW_KEK}:
        return secrets.token_urlsafe(_SIGNING_KEY_BYTES)
    return secrets.token_urlsafe(_PASSWORD_BYTES)
