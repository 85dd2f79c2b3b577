"""What Seldon's executors count, as a canary's figures."""

import pytest

from headrace.adapters.seldon.executor_metrics import Tally, figures, read_tally

LABELS = 'deployment_name="g",predictor_name="live",predictor_version="",service="{service}",model_name="{node}"'


def call(node, count, seconds, *, code=200, service="/predict"):
    """A node's samples, as the executor's page has them."""
    labels = f'{{code="{code}",method="post",model_image="headrace/serving",model_version="0.1.0",{LABELS}}}'
    labels = labels.replace("{service}", service).replace("{node}", node)
    name = "seldon_api_executor_client_requests_seconds"
    return "\n".join(
        [
            f'{name}_bucket{labels[:-1]},le="0.005"}} {count}',
            f"{name}_sum{labels} {seconds}",
            f"{name}_count{labels} {count}",
            f"{name}_summary_sum{labels} {seconds}",
            f"{name}_summary_count{labels} {count}",
        ]
    )


def request(count, *, code=200, service="predictions"):
    """The executor's own samples."""
    labels = f'{{code="{code}",deployment_name="g",method="post",predictor_name="live",predictor_version="",service="{service}"}}'
    name = "seldon_api_executor_server_requests_seconds"
    return f"{name}_sum{labels} 1\n{name}_count{labels} {count}"


def page(*samples):
    return "\n".join(["# HELP go_goroutines Number of goroutines.", "go_goroutines 12", *samples, ""])


GOOD = page(
    call("slot-1", 90, 0.9),
    call("slot-2", 90, 1.8),
    call("combiner", 90, 0.45, service="/aggregate"),
    call("new-slot-1", 10, 0.4),
    call("new-combiner", 10, 0.1, service="/aggregate"),
    request(100),
    request(5000, service="status"),
)


def test_each_branch_has_its_own_nodes_calls():
    found = figures(read_tally(GOOD))
    assert (found.former.requests, found.former.errors, found.new.requests, found.new.errors) == (90, 0, 10, 0)
    assert found.former.latency == pytest.approx(2.7 / 180 + 0.005)
    assert found.new.latency == pytest.approx(0.05)


def test_several_executors_are_one():
    found = figures(read_tally(GOOD) + read_tally(GOOD) + Tally())
    assert (found.former.requests, found.new.requests) == (180, 20)
    assert found.new.latency == pytest.approx(0.05)


def test_an_error_is_its_branch_s_wherever_it_happens():
    erring = page(
        call("slot-1", 90, 0.9),
        call("combiner", 88, 0.4, service="/aggregate"),
        call("combiner", 2, 0.1, code=500, service="/aggregate"),
        call("new-slot-1", 6, 0.3),
        call("new-slot-1", 4, 0.01, code=400),
        call("new-combiner", 6, 0.03, service="/aggregate"),
        request(94),
        request(2, code=500),
        request(4, code=400),
    )
    found = figures(read_tally(erring))
    assert (found.former.requests, found.former.errors) == (90, 2)
    assert (found.new.requests, found.new.errors) == (10, 4)
    assert found.new.latency == pytest.approx(0.05 + 0.005), "quick refusals are no quick answers"


def test_failed_requests_that_no_node_accounts_for_are_the_new_ensemble_s():
    silent = page(call("slot-1", 90, 0.9), call("combiner", 90, 0.4, service="/aggregate"), request(90), request(10, code=500))
    found = figures(read_tally(silent))
    assert (found.new.requests, found.new.errors) == (10, 10)
    assert found.new.latency is None


def test_they_are_the_former_ensemble_s_where_its_other_nodes_show_that_it_was_asked():
    one_is_gone = page(
        call("slot-1", 90, 0.9),
        call("slot-2", 84, 1.7),
        call("combiner", 82, 0.4, service="/aggregate"),
        call("new-slot-1", 10, 0.1),
        call("new-combiner", 10, 0.1, service="/aggregate"),
        request(92),
        request(9, code=500),
    )
    found = figures(read_tally(one_is_gone))
    assert (found.former.requests, found.former.errors) == (90, 8)
    assert (found.new.requests, found.new.errors) == (11, 1)


def test_calls_that_are_under_way_are_no_errors():
    assert figures(read_tally(page(call("slot-1", 90, 0.9), call("combiner", 88, 0.4), request(88)))).former.errors == 0


def test_executors_that_were_never_asked_have_nothing_to_say():
    assert figures(read_tally(page())) == figures(Tally())
    assert figures(Tally()).former.requests == 0


def test_a_page_that_is_none_is_refused():
    with pytest.raises(ValueError, match="many"):
        read_tally(page(call("slot-1", "many", 0.9)))
