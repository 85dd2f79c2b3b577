"""The API server's refusals as the platform's errors, over a real connection to a server that refuses."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from kubernetes import client

from free_ports import free_ports
from headrace.adapters.kubernetes.client import api_client, translated_errors
from headrace.errors import ForbiddenError, InvalidSpecError, NotFoundError, UnavailableError

NO_RIGHT = 'jobs.batch is forbidden: User "ann" cannot create resource "jobs" in API group "batch" in the namespace "ml"'


@pytest.fixture
def kubeconfig(tmp_path, monkeypatch):
    """Writes a kubeconfig for a server on the port, and makes it the process's own."""

    def write(port):
        entry = {"cluster": "here", "user": "ann"}
        path = tmp_path / "kubeconfig"
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                    "users": [{"name": "ann", "user": {"token": "t"}}],
                    "contexts": [{"name": "one", "context": entry}],
                    "current-context": "one",
                }
            )
        )
        monkeypatch.setenv("KUBECONFIG", str(path))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    return write


@pytest.fixture
def refusing(kubeconfig):
    """Starts an API server that refuses everything in these words, and returns a client of it."""
    servers = []

    def start(status, message):
        class Refusal(BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps({"kind": "Status", "message": message}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Refusal))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        kubeconfig(servers[-1].server_port)
        return client.BatchV1Api(api_client())

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        (403, NO_RIGHT, ForbiddenError),
        (401, "Unauthorized", ForbiddenError),
        (403, 'pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2', UnavailableError),
        (403, 'pods "a" is forbidden: violates PodSecurity "restricted:latest"', InvalidSpecError),
        (422, 'Job.batch "a" is invalid: spec.template: Required value', InvalidSpecError),
        (404, 'namespaces "ml" not found', NotFoundError),
        (409, "the object has been modified", UnavailableError),
        (500, "etcd leader changed", UnavailableError),
    ],
)
def test_a_refusal_keeps_the_servers_words(refusing, status, message, error):
    api = refusing(status, message)
    with pytest.raises(error) as raised, translated_errors("cannot list Jobs in ml"):
        api.list_namespaced_job("ml")
    assert "cannot list Jobs in ml" in str(raised.value)
    assert message in str(raised.value)


def test_a_server_that_is_not_there_is_unavailable(kubeconfig):
    kubeconfig(free_ports(1)[0])
    with pytest.raises(UnavailableError, match="does not answer"), translated_errors("cannot list Jobs in ml"):
        client.BatchV1Api(api_client()).list_namespaced_job("ml")


def test_a_request_to_a_server_that_hangs_ends(refusing, monkeypatch):
    monkeypatch.setattr("headrace.adapters.kubernetes.client.TIMEOUT_SECONDS", (0.2, 0.2))
    api = refusing(200, "never sent")
    monkeypatch.setattr(BaseHTTPRequestHandler, "end_headers", lambda _: time.sleep(3))
    with pytest.raises(UnavailableError, match="does not answer"), translated_errors("cannot list Jobs in ml"):
        api.list_namespaced_job("ml")


def test_an_unknown_context_says_so(kubeconfig):
    kubeconfig(1)
    with pytest.raises(InvalidSpecError, match=r"elsewhere.*HEADRACE_KUBERNETES__CONTEXT"):
        api_client("elsewhere")
