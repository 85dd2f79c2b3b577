"""Who a worker is: its rank and its peers, from what the launcher put into its environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.errors import InvalidSpecError
from headrace.specs.training import HOSTS_VARIABLE

TF_CONFIG = "TF_CONFIG"
POD_INDEX = "JOB_COMPLETION_INDEX"


@dataclass(frozen=True)
class Cluster:
    """The workers of a job, and which of them this process is.

    Attributes:
        rank: this worker's place in `hosts`. Rank 0 is the chief: it alone writes checkpoints, metrics and the result.
        hosts: `host:port` of every worker, the same list in the same order for all; empty when the job has one worker.
    """

    rank: int = 0
    hosts: tuple[str, ...] = ()

    @property
    def workers(self) -> int:
        """How many workers the job has."""
        return max(1, len(self.hosts))

    @property
    def is_chief(self) -> bool:
        """Whether this worker reports for all."""
        return self.rank == 0


def read_cluster(environment: Mapping[str, str]) -> Cluster:
    """Find the cluster in `TF_CONFIG`, or in a pod's index and `HEADRACE_WORKER_HOSTS_VARIABLE`; a lone worker has neither.

    Raises:
        InvalidSpecError: what is there cannot be read, or the rank has no host.
    """
    if TF_CONFIG in environment:
        cluster, where = _from_tf_config(environment[TF_CONFIG]), TF_CONFIG
    elif HOSTS_VARIABLE in environment:
        hosts = tuple(host for host in environment[HOSTS_VARIABLE].split(",") if host)
        cluster, where = Cluster(_rank(environment.get(POD_INDEX, "")), hosts), f"{HOSTS_VARIABLE} and {POD_INDEX}"
    else:
        return Cluster()
    if not 0 <= cluster.rank < cluster.workers:
        raise InvalidSpecError(
            f"rank {cluster.rank} has no host among {cluster.workers}",
            where=where,
            remedy="Start as many workers as there are hosts.",
        )
    return cluster


def _from_tf_config(document: str) -> Cluster:
    try:
        config = json.loads(document)
        return Cluster(int(config["task"]["index"]), tuple(config["cluster"]["worker"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidSpecError(
            f"cannot be read: {error!r}",
            where=TF_CONFIG,
            remedy='Expected {"cluster": {"worker": [HOST:PORT, …]}, "task": {"type": "worker", "index": RANK}}.',
        ) from error


def _rank(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InvalidSpecError(
            f"`{text}` is not a rank", where=POD_INDEX, remedy="Run the workers as a Job with completionMode Indexed."
        ) from error
