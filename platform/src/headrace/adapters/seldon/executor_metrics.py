"""What Seldon's executor counts, in Prometheus' text format, as figures of a canary. Pure.

It observes every call to a node by the node's name, method and status (`seldon_api_executor_client_requests_seconds`), and every
request it has answered (`…_server_requests_seconds`). Read in executor/api/rest/client.go and api/metric of Seldon Core 1.17.1:

- A call without an HTTP answer (nobody there, out of time) is observed nowhere but in the request's own status. A failed request
  that no node accounts for is the former ensemble's if its other nodes were called for one that came to nothing. Otherwise it
  is held against the new one: the former serves well, or it would not be there.
- All calls share one HTTP client whose labels each call sets before it is made, so that of two calls at the very same moment one
  may be counted as the other's: with eight callers at once, of about one call in a thousand.
- How long a request took is not observed by branch: it is taken as the mean of a member's calls plus that of the combiner's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from headrace.render.seldon import Branch, root_name
from headrace.specs.canary import BranchFigures, CanaryFigures

_CLIENT = "seldon_api_executor_client_requests_seconds"
_SERVER = "seldon_api_executor_server_requests_seconds"
_SAMPLE = re.compile(r"(\w+?)_(count|sum)\{(.*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ANSWERED = "200"


@dataclass
class Tally:
    """Sums by node and whether it answered with success; a request's own are under no name."""

    count: Counter[tuple[str, bool]] = field(default_factory=Counter)
    seconds: Counter[tuple[str, bool]] = field(default_factory=Counter)

    def __add__(self, other: Tally) -> Tally:
        """What two executors have counted together."""
        return Tally(self.count + other.count, self.seconds + other.seconds)

    def members(self, branch: Branch) -> list[str]:
        """The nodes of a branch below its root that were called."""
        return sorted({node for node, _ in self.count if node and node != root_name(branch) and branch_of(node) is branch})


def branch_of(node: str) -> Branch:
    """Whose node it is."""
    return Branch.NEW if node.startswith(Branch.NEW.value) else Branch.SERVING


def read_tally(text: str) -> Tally:
    """The sums of one executor's metrics.

    Raises:
        ValueError: a sample is no number.
    """
    tally = Tally()
    for metric, kind, labels, value in _samples(text):
        if metric == _SERVER and labels.get("service") != "predictions":
            continue
        node = labels.get("model_name", "") if metric == _CLIENT else ""
        sums = tally.count if kind == "count" else tally.seconds
        sums[node, labels.get("code") == _ANSWERED] += value  # type: ignore[assignment]
    return tally


def figures(tally: Tally) -> CanaryFigures:
    """What it says of both ensembles."""
    former, new = (_branch(tally, branch) for branch in (Branch.SERVING, Branch.NEW))
    unaccounted = max(0, int(tally.count["", False]) - former.errors - new.errors)
    its_own = min(unaccounted, max(0, _begun(tally) - former.requests))
    return CanaryFigures(former=former + _failed(its_own), new=new + _failed(unaccounted - its_own))


def _begun(tally: Tally) -> int:
    """How many requests the former ensemble got, by that of its members which was called most often."""
    calls = (tally.count[node, True] + tally.count[node, False] for node in tally.members(Branch.SERVING))
    return max(map(int, calls), default=0)


def _failed(requests: int) -> BranchFigures:
    return BranchFigures(requests=requests, errors=requests)


def _branch(tally: Tally, branch: Branch) -> BranchFigures:
    """Each request called every member once, and the root after all of them had answered."""
    root, members = root_name(branch), tally.members(branch)
    answered = int(tally.count[root, True])
    failed = int(tally.count[root, False]) + sum(int(tally.count[member, False]) for member in members)
    latency = _mean(tally, [root]) + _mean(tally, members)
    return BranchFigures(requests=answered + failed, errors=failed, seconds=answered * latency)


def _mean(tally: Tally, nodes: list[str]) -> float:
    """Seconds that a call with success took, of any of the nodes."""
    calls = sum(tally.count[node, True] for node in nodes)
    return sum(tally.seconds[node, True] for node in nodes) / calls if calls else 0.0


def _samples(text: str) -> Iterator[tuple[str, str, Mapping[str, str], float]]:
    for line in text.splitlines():
        if (found := _SAMPLE.match(line)) and found[1] in {_CLIENT, _SERVER}:
            yield found[1], found[2], dict(_LABEL.findall(found[3])), float(found[4])
