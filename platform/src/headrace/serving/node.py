"""`python -m headrace.serving.node`: one replica of a node, `seldon-core-microservice` that lives and dies whole.

The wrapper does not notice when one of its processes ends: it counts every request under a lock in a manager process, so that
without the manager every answer is a 500, and a worker killed while it holds the lock hangs its replica for good. Here the main
process ends with any of them, and the engine, or the kubelet, starts another replica.

On the embedded engine (PARENT_KEY is set) the machine is shared with others, and two more things matter: the wrapper binds
0.0.0.0 without an option to change it, and leaves processes behind when its main process is killed. In a pod it must be reached
from elsewhere, and its processes end with process 1.
"""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import NoReturn

from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]
from seldon_core import microservice
from seldon_core.gunicorn_utils import StandaloneApplication

from headrace.serving.parent_death import PARENT_KEY, tie_tree_to

_load_config = StandaloneApplication.load_config


def load_config_on_loopback(application: StandaloneApplication) -> None:
    """What the wrapper's gunicorn application loads, but bound to loopback instead of every interface."""
    port = application.options["bind"].rpartition(":")[2]
    application.options = {**application.options, "bind": f"127.0.0.1:{port}"}
    _load_config(application)


def end_with_child(arbiter: Arbiter, signum: int, frame: FrameType | None) -> NoReturn:
    """When a child ends, end: every other process of the replica is tied to this one, and another replica is started."""
    del arbiter, signum, frame
    sys.stderr.write("a process of this replica has ended, and with it the replica ends\n")
    sys.stderr.flush()
    os._exit(1)


def main() -> None:
    """Run the component named by `MODEL_NAME` as `SERVICE_TYPE`; everything else is the wrapper's own environment."""
    if engine := os.environ.get(PARENT_KEY):
        tie_tree_to(int(engine))
        StandaloneApplication.load_config = load_config_on_loopback
    Arbiter.handle_chld = end_with_child
    sys.argv = ["seldon-core-microservice", os.environ["MODEL_NAME"], "--service-type", os.environ["SERVICE_TYPE"]]
    microservice.main()


if __name__ == "__main__":
    main()
