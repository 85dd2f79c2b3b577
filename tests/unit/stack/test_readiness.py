"""When a part counts as ready."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from headrace.stack.health import examine
from headrace.stack.part import Part, PartState
from headrace.stack.readiness import AirflowHeartbeat, AnswersHttp
from headrace.stack.supervisor import Process

NOW = datetime.now(UTC)


@pytest.fixture
def answering():
    """An HTTP server that gives one answer; yields a function that sets it and returns the URL."""
    answer = {"status": 200, "body": b""}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answer["status"])
            self.send_header("Content-Length", str(len(answer["body"])))
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def give(status=200, body=None):
        answer.update(status=status, body=json.dumps(body).encode())
        return f"http://127.0.0.1:{server.server_port}"

    yield give
    server.shutdown()
    server.server_close()


def heartbeat(at, status="healthy"):
    return {"scheduler": {"status": status, "latest_scheduler_heartbeat": at.isoformat() if at else None}}


def test_http_is_ready_when_it_answers_200(answering):
    assert AnswersHttp(answering(200))(NOW) is None
    assert "answers 503" in AnswersHttp(answering(503))(NOW)


def test_nobody_answering_is_a_reason_not_an_error():
    assert "refused" in AnswersHttp("http://127.0.0.1:9")(NOW)


def test_a_heartbeat_from_before_the_processs_start_does_not_count(answering):
    url = answering(body=heartbeat(NOW - timedelta(seconds=2)))
    assert AirflowHeartbeat(url, "scheduler")(NOW - timedelta(seconds=5)) is None
    assert "before its start" in AirflowHeartbeat(url, "scheduler")(NOW)


@pytest.mark.parametrize("page", [heartbeat(None), heartbeat(NOW, status="unhealthy")])
def test_no_heartbeat_is_not_ready(answering, page):
    assert "no heartbeat" in AirflowHeartbeat(answering(body=page), "scheduler")(NOW)


def part(reason=None):
    return Part(name="mlflow", command=("true",), ready=lambda since: reason, version=lambda: "1", patience_seconds=60)


def process(state, age_seconds):
    return Process(state=state, pid=1, since=datetime.now(UTC) - timedelta(seconds=age_seconds), detail="")


@pytest.mark.parametrize(
    ("reason", "seen", "age_seconds", "state"),
    [
        (None, "STARTING", 1, PartState.RUNNING),
        (None, "RUNNING", 1, PartState.RUNNING),
        ("refused", "RUNNING", 1, PartState.STARTING),
        ("refused", "RUNNING", 61, PartState.FAILED),
        (None, "BACKOFF", 1, PartState.STARTING),
        (None, "EXITED", 1, PartState.STARTING),
        (None, "FATAL", 1, PartState.FAILED),
        (None, "STOPPED", 1, PartState.STOPPED),
    ],
)
def test_a_parts_state_is_its_process_and_its_readiness(reason, seen, age_seconds, state):
    assert examine(part(reason), process(seen, age_seconds)).state is state


def test_a_part_the_supervisor_does_not_have_is_stopped():
    assert examine(part(), None).state is PartState.STOPPED
