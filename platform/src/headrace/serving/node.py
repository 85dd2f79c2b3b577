"""One replica of a node on the embedded engine: `seldon-core-microservice`, tied to the engine and bound to loopback.

The stock command binds 0.0.0.0 without an option to change it, and leaves worker, metrics and manager processes behind when its
main process is killed. Both matter on a shared machine; in a pod the stock command is used as it is.
"""

from __future__ import annotations

import os
import sys

from seldon_core import microservice
from seldon_core.gunicorn_utils import StandaloneApplication

from headrace.serving.parent_death import tie_tree_to

PARENT_KEY = "HEADRACE_ENGINE_PID"


_load_config = StandaloneApplication.load_config


def load_config_on_loopback(application: StandaloneApplication) -> None:
    """What the wrapper's gunicorn application loads, but bound to loopback instead of every interface."""
    port = application.options["bind"].rpartition(":")[2]
    application.options = {**application.options, "bind": f"127.0.0.1:{port}"}
    _load_config(application)


def main() -> None:
    """Run the component named by `MODEL_NAME` as `SERVICE_TYPE`; everything else is the wrapper's own environment."""
    tie_tree_to(int(os.environ[PARENT_KEY]))
    StandaloneApplication.load_config = load_config_on_loopback
    sys.argv = ["seldon-core-microservice", os.environ["MODEL_NAME"], "--service-type", os.environ["SERVICE_TYPE"]]
    microservice.main()


if __name__ == "__main__":
    main()
