"""python -m cluster.node up | down | status."""

from __future__ import annotations

import argparse
import sys

from cluster.node import cluster
from cluster.node.home import Home, NodeError


def main() -> int:
    """Do what is asked for; 1 where that failed, with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="cluster.node", description=__doc__)
    parser.add_argument("action", choices=("up", "down", "status"))
    action = parser.parse_args().action
    try:
        home = Home.of_environment()
        if action == "status":
            return 0 if cluster.status(home) else 1
        (cluster.up if action == "up" else cluster.down)(home)
    except NodeError as error:
        sys.stderr.write(f"cluster-{action}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
