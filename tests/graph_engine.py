"""A graph engine in a process of its own, driven over HTTP as any caller would."""

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from free_ports import free_ports
from waiting import wait_for

ROOT = Path(__file__).parents[1]
SERVING_PYTHON = os.environ.get("HEADRACE_SERVING_PYTHON", str(ROOT / ".venv-serving" / "bin" / "python"))
SPACE = "test"


@dataclass
class Engine:
    """An engine in a process of its own."""

    folder: Path
    port: int
    options: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    space: str = SPACE
    environment: dict[str, str] | None = None
    process: subprocess.Popen | None = None

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def start(self):
        command = [SERVING_PYTHON, "-m", "headrace.serving.engine", "--host", self.host, "--port", str(self.port)]
        command += ["--body-limit-mib", "1"]
        command += ["--state", str(self.folder / "state"), "--log-dir", str(self.folder / "logs"), *self.options]
        with (self.folder / "engine.log").open("a") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=self.environment)
        wait_for(self._answers, 30, "the engine answers")

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "engine.log").read_text()
        try:
            return httpx.get(f"{self.url}/live", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def stop(self, within=15):
        self.process.terminate()
        self.process.wait(within)

    def ready(self):
        return httpx.get(f"{self.url}/ready", trust_env=False).is_success

    def resource(self, name):
        return f"{self.url}/apis/machinelearning.seldon.io/v1/namespaces/{self.space}/seldondeployments/{name}"

    def put(self, document):
        return httpx.put(self.resource(document["metadata"]["name"]), json=document, trust_env=False)

    def status(self, name):
        reply = httpx.get(self.resource(name), trust_env=False)
        return reply.json()["status"] if reply.is_success else None

    def settled(self, name, within=60):
        """The status once the desired document is live or has failed."""
        wait_for(lambda: self.status(name)["state"] != "Creating", within, f"{name} is settled")
        return self.status(name)

    def predictions(self, name):
        return f"{self.url}/seldon/{self.space}/{name}/api/v1.0/predictions"

    def ask(self, name, message, **request):
        return httpx.post(self.predictions(name), json=message, trust_env=False, timeout=30, **request)

    def processes(self):
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def running_engine(folder, *options, **fields):
    """An engine on a free port with its state below `folder`, ended whatever happens."""
    (port,) = free_ports(1)
    engine = Engine(folder=folder, port=port, options=options, **fields)
    try:
        engine.start()
        yield engine
    finally:
        if engine.process:
            engine.process.kill()
            engine.process.wait()
