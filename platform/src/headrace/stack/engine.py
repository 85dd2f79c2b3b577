"""The serving engine as a part of the stack, in an environment of its own (`.venv-serving`)."""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

import headrace
from headrace.config import Settings
from headrace.stack.environment import LOOPBACK
from headrace.stack.part import Part, Port
from headrace.stack.readiness import AnswersHttp

SERVING = "serving"


def engine_part(settings: Settings) -> Part:
    """The engine: runs SeldonDeployments as local processes and answers for them."""
    python = settings.serving_interpreter
    command = (str(python), "-m", "headrace.serving.engine", "--host", LOOPBACK, "--port", str(settings.ports.serving))
    url = f"http://{LOOPBACK}:{settings.ports.serving}"
    return Part(
        name=SERVING,
        command=(*command, "--state", str(settings.home / "serving"), "--log-dir", str(settings.home / "logs" / SERVING)),
        ready=AnswersHttp(f"{url}/live"),
        version=lambda: _version(python),
        url=url,
        port=Port(settings.ports.serving, "HEADRACE_PORTS__SERVING"),
        stop_seconds=7,  # it drains its replicas before it ends
        settle_seconds=10,
        patience_seconds=60,
    )


def _version(python: Path) -> str:
    libraries = [str(folder) for folder in python.parent.parent.glob("lib/python*/site-packages")]
    seldon = next((found.version for found in distributions(name="seldon-core", path=libraries)), None)
    return f"{headrace.__version__} (seldon-core {seldon})" if seldon else headrace.__version__
