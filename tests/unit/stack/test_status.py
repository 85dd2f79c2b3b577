"""The endpoints and memory that `headrace status` shows."""

import os

import pytest

from headrace.stack import status
from headrace.stack.memory import tree_pss_bytes

URL = "http://127.0.0.1:19000"


def deployment(**state):
    return {"metadata": {"name": "fashion", "namespace": "team"}, "status": state}


@pytest.mark.parametrize(
    ("item", "url"),
    [
        (deployment(state="Available", address={"url": "http://elsewhere/predictions"}), "http://elsewhere/predictions"),
        (deployment(state="Creating"), f"{URL}/seldon/team/fashion/api/v1.0/predictions"),
    ],
)
def test_an_endpoint_has_an_address_even_before_the_engine_says_so(item, url, monkeypatch):
    monkeypatch.setattr(status, "fetch", lambda _: (200, status.json.dumps({"items": [item]}).encode()))
    (endpoint,) = status.endpoints(URL)
    assert endpoint == status.Endpoint(name="fashion", namespace="team", url=url, state=item["status"]["state"])


def test_an_engine_that_does_not_answer_has_no_endpoints():
    assert status.endpoints("http://127.0.0.1:9") == ()


def test_a_process_trees_memory_is_counted_and_a_gone_ones_is_nothing():
    assert tree_pss_bytes(os.getpid()) > 1e6
    assert tree_pss_bytes(2**22 + 1) == 0
