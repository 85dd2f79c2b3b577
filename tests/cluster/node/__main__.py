"""The cluster for tests: the project's own node, or with CLUSTER=existing the kubeconfig's current context."""

from __future__ import annotations

import argparse
import os
import sys

from cluster.node import cluster, existing
from cluster.node.home import Home, NodeError
from cluster.node.products import build_products
from cluster.node.progress import say


def main() -> int:
    """Do what is asked for; 1 where that failed, with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="cluster.node", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("build").add_argument("tags", nargs="+", help="what `make images` makes")
    for action in ("up", "down", "status"):
        actions.add_parser(action)
    given = parser.parse_args()
    tags = tuple(getattr(given, "tags", ()))
    try:
        return _on_existing(given.action, tags) if os.environ.get("CLUSTER") == "existing" else _on_own(given.action, tags)
    except NodeError as error:
        sys.stderr.write(f"cluster-{given.action}: {error}\n")
        return 1


def _on_own(action: str, tags: tuple[str, ...]) -> int:
    home = Home.of_environment()
    if action == "status":
        return 0 if cluster.status(home) else 1
    if action == "build":
        cluster.build(home, tags)
    elif action == "up":
        cluster.up(home)
    else:
        cluster.down(home)
    return 0


def _on_existing(action: str, tags: tuple[str, ...]) -> int:
    if action == "build":
        build_products(None)
        existing.load(tags)
    elif action == "down":
        say("CLUSTER=existing: nothing is ended")
    else:
        existing.check()
    return 0


if __name__ == "__main__":
    sys.exit(main())
