"""`python -m headrace.serving.engine`: run the engine until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

import uvloop
from aiohttp import web

from headrace.serving.engine.app import Engine

_MEBIBYTE = 2**20


def main() -> None:
    """Parse the options and serve."""
    parser = argparse.ArgumentParser(prog="headrace.serving.engine", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=19000)
    parser.add_argument("--state", type=Path, required=True, help="folder of the applied documents")
    parser.add_argument("--log-dir", type=Path, required=True, help="folder of the replicas' logs")
    parser.add_argument("--body-limit-mib", type=float, default=16, help="largest body of a prediction, in MiB")
    parser.add_argument("--ready-within", type=float, default=120, help="seconds a replica may take to become ready")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    engine = Engine(state=options.state, logs=options.log_dir, ready_within=options.ready_within)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    application = engine.application(int(options.body_limit_mib * _MEBIBYTE))
    web.run_app(application, host=options.host, port=options.port, access_log=None, shutdown_timeout=5, print=None)


if __name__ == "__main__":
    main()
