"""A graph's endpoint: where it is, what is asked again, and what its answers mean. Over real connections."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from free_ports import free_ports
from headrace.adapters.seldon import endpoint
from headrace.adapters.seldon.endpoint import Endpoint, service_name
from headrace.errors import InvalidSpecError, NotFoundError, UnavailableError

MESSAGE = {"data": {"ndarray": [[1]]}}
UNREACHED = {"status": {"code": 500, "info": 'Post "http://n:9000/predict": dial tcp 10.0.0.1:9000: connect: connection refused'}}
HUNG_UP = {"status": {"code": 500, "info": 'Post "http://n:9000/predict": EOF'}}


@pytest.fixture
def answering():
    """Starts an executor with prepared answers, the last for good; returns its address and what it was asked."""
    servers = []

    def start(*answers):
        asked, left = [], list(answers)

        class Executor(BaseHTTPRequestHandler):
            def do_POST(self):
                asked.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
                status, body = left.pop(0) if len(left) > 1 else left[0]
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Executor))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_inside_the_cluster_it_is_the_operators_service():
    assert Endpoint(None).address("ml", "shoes") == "http://shoes-live.ml.svc:8000/api/v1.0/predictions"


def test_elsewhere_it_is_a_path_of_the_ingress():
    assert Endpoint("https://ml.example/").address("ml", "shoes") == "https://ml.example/seldon/ml/shoes/api/v1.0/predictions"


def test_a_long_name_is_replaced_as_the_operator_replaces_it():
    assert service_name("a" * 52 + "-preview") == "seldon-ebb5796dcb430f7acfa234c1938ccfde"


def test_an_answer_is_passed_on(answering):
    url, asked = answering((200, {"data": {"ndarray": [[0.5]]}}))
    assert Endpoint(url).ask("ml", "shoes", MESSAGE) == {"data": {"ndarray": [[0.5]]}}
    assert asked == [("/seldon/ml/shoes/api/v1.0/predictions", MESSAGE)]


@pytest.mark.parametrize("trouble", [(500, UNREACHED), (500, HUNG_UP), (503, {"message": "no healthy upstream"})])
def test_a_node_that_was_not_reached_is_asked_for_again(answering, trouble):
    url, asked = answering(trouble, trouble, (200, {"data": {}}))
    assert Endpoint(url).ask("ml", "shoes", MESSAGE) == {"data": {}}
    assert len(asked) == 3


def test_a_node_that_stays_away_is_unavailable_in_the_executors_words(answering, monkeypatch):
    monkeypatch.setattr(endpoint, "_ASK_AGAIN_SECONDS", 0.5)
    url, _ = answering((500, UNREACHED))
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="connection refused"):
        Endpoint(url).ask("ml", "shoes", MESSAGE)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"status": {"info": "expected whole numbers"}}), InvalidSpecError),
        ((404, {}), NotFoundError),
        ((500, {"status": {"info": "members disagree"}}), UnavailableError),
    ],
)
def test_other_failures_are_not_asked_again(answering, answer, error):
    url, asked = answering(answer)
    with pytest.raises(error):
        Endpoint(url).ask("ml", "shoes", MESSAGE)
    assert len(asked) == 1


def test_nobody_there_is_unavailable_and_says_what_to_set():
    (port,) = free_ports(1)
    with pytest.raises(UnavailableError, match="HEADRACE_SERVING_URL"):
        Endpoint(f"http://127.0.0.1:{port}").ask("ml", "shoes", MESSAGE)
