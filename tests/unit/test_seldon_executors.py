"""Executors are found among a graph's pods, and each asked at its own address."""

import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from kubernetes.client import V1Container, V1ObjectMeta, V1Pod, V1PodList, V1PodSpec, V1PodStatus

from free_ports import free_ports
from headrace.adapters.seldon import executors
from headrace.errors import UnavailableError

SAMPLE = 'seldon_api_executor_client_requests_seconds_%s{code="200",model_name="%s",service="%s"} %s\n'
PAGE = "".join(
    SAMPLE % (kind, node, "/predict", value) for node in ("slot-1", "combiner") for kind, value in (("count", 7), ("sum", 0.7))
)


def pod(name, address, *, containers=("combiner", executors.CONTAINER), leaving=False):
    return V1Pod(
        metadata=V1ObjectMeta(name=name, deletion_timestamp=datetime(2026, 11, 21, tzinfo=UTC) if leaving else None),
        spec=V1PodSpec(containers=[V1Container(name=each) for each in containers]),
        status=V1PodStatus(pod_ip=address),
    )


@pytest.fixture
def ask(monkeypatch):
    """What executors tell of a graph with these pods. Those at 127.0.0.1 answer."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/prometheus" else 404)
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, *_):
            pass

    (port,) = free_ports(1)
    server = HTTPServer(("127.0.0.1", port), Page)
    threading.Thread(target=server.serve_forever).start()
    monkeypatch.setattr(executors, "PORT", port)

    def figures(*pods):
        def listed(namespace, *, label_selector):
            assert (namespace, label_selector) == ("ml", "seldon-deployment-id=g")
            return V1PodList(items=list(pods))

        asked = executors.Executors(None)
        asked._api = SimpleNamespace(list_namespaced_pod=listed)
        return asked.figures("ml", "g")

    yield figures
    server.shutdown()
    server.server_close()


def test_all_executors_are_summed_and_other_pods_left_alone(ask):
    others = [
        pod("node", "203.0.113.1", containers=("slot-1",)),
        pod("ending", "203.0.113.1", leaving=True),
        pod("pending", None),
    ]
    found = ask(pod("one", "127.0.0.1"), pod("other", "127.0.0.1"), *others)
    assert found.former.requests == 14
    assert found.former.latency == pytest.approx(0.2)


def test_one_that_does_not_answer_makes_all_of_them_unknown(ask):
    with pytest.raises(UnavailableError, match=r"executor in pod silent .*inside the cluster only"):
        ask(pod("one", "127.0.0.1"), pod("silent", "127.0.0.2"))
