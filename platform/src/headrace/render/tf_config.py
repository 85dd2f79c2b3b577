"""TF_CONFIG: how TensorFlow is told its peers (https://www.tensorflow.org/guide/distributed_training#tf_config)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def render_tf_config(hosts: Sequence[str], rank: int) -> dict[str, Any]:
    """The document for one worker.

    Args:
        hosts: `host:port` of every worker, by rank; the first is the chief.
        rank: the worker's place in `hosts`.
    """
    return {"cluster": {"worker": list(hosts)}, "task": {"type": "worker", "index": rank}}
