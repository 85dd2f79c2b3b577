"""`python -m headrace.serving.engine`: run the engine until SIGTERM.

On one machine documents are applied over HTTP and kept in the state folder. With `--kubernetes-namespace` they are that
namespace's ConfigMaps. At SIGTERM the engine says that it is not ready, goes on answering until nobody is sent to it any more,
and ends; a second signal ends it at once.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import uvloop
from aiohttp import ClientSession, TCPConnector, web

from headrace.serving.engine.app import Edge
from headrace.serving.engine.graphs import Graphs
from headrace.serving.engine.kubernetes_api import ACCOUNT, ConfigMaps, api_server
from headrace.serving.engine.kubernetes_documents import SELECTOR, KubernetesDocuments
from headrace.serving.engine.readiness import Readiness
from headrace.serving.engine.replica import Launch
from headrace.serving.engine.state import DocumentStore

_MEBIBYTE = 2**20
_FINISH_SECONDS = 5
"""How long the last requests may take."""
_SPREAD_SECONDS = 10.0
"""How long a cluster may take to send nobody to a pod that is about to end."""

log = logging.getLogger("headrace.serving.engine")


def main() -> None:
    """Parse the options and serve."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    uvloop.run(serve(_options()))


def _options() -> argparse.Namespace:
    folder = Path(tempfile.gettempdir()) / "headrace-engine"
    parser = argparse.ArgumentParser(prog="headrace.serving.engine", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=19000)
    parser.add_argument("--state", type=Path, default=folder / "state", help="folder of the documents")
    parser.add_argument("--log-dir", type=Path, default=folder / "logs", help="folder of the replicas' logs")
    parser.add_argument("--body-limit-mib", type=float, default=16, help="largest body of a prediction, in MiB")
    parser.add_argument("--ready-within", type=float, default=120, help="seconds a replica may take to become ready")
    parser.add_argument("--kubernetes-namespace", help="serve the documents of this namespace's ConfigMaps")
    parser.add_argument("--kubernetes-account", type=Path, default=ACCOUNT, help="folder of the account's token and ca.crt")
    parser.add_argument(
        "--drain-seconds", type=float, help="time from SIGTERM to the end of answering (10 on Kubernetes, else 0)"
    )
    options = parser.parse_args()
    if options.drain_seconds is None:
        options.drain_seconds = _SPREAD_SECONDS if options.kubernetes_namespace else 0.0
    return options


async def serve(options: argparse.Namespace) -> None:
    """Serve until told to end, and then end everything that was started."""
    ends = _Ends()
    async with _graphs(options) as graphs:
        readiness = Readiness(graphs, listed=options.kubernetes_namespace is None)
        async with _documents(options, graphs, readiness):
            edge = Edge(graphs, readiness, writable=options.kubernetes_namespace is None)
            application = edge.application(int(options.body_limit_mib * _MEBIBYTE))
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=_FINISH_SECONDS)
            await runner.setup()
            try:
                await web.TCPSite(runner, options.host, options.port).start()
                await ends.wait()
                readiness.leaving = True
                log.info("told to end; answering for %g s more", options.drain_seconds)
                with suppress(TimeoutError):
                    await asyncio.wait_for(ends.wait(), options.drain_seconds)
            finally:
                await runner.cleanup()


class _Ends:
    """The signals to end, one after the other."""

    def __init__(self) -> None:
        self._told: asyncio.Queue[int] = asyncio.Queue()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._told.put_nowait, number)

    async def wait(self) -> None:
        """Return at the next one."""
        await self._told.get()


@asynccontextmanager
async def _graphs(options: argparse.Namespace) -> AsyncIterator[Graphs]:
    """The graphs, those that were kept among them; none of their processes is left in the end."""
    # The wrapper's synchronous workers close each connection after its reply; a pool would only hold dead ones.
    async with ClientSession(connector=TCPConnector(limit=0, force_close=True), trust_env=False) as session:
        launch = Launch(log_folder=options.log_dir, ready_within=options.ready_within, session=session)
        graphs = Graphs(launch, DocumentStore(options.state))
        graphs.restore()
        try:
            yield graphs
        finally:
            await graphs.stop()


@asynccontextmanager
async def _documents(options: argparse.Namespace, graphs: Graphs, readiness: Readiness) -> AsyncIterator[None]:
    """Follow the ConfigMaps, where there are some to follow."""
    namespace = options.kubernetes_namespace
    if namespace is None:
        yield
        return
    config_maps = ConfigMaps(url=api_server(), account=options.kubernetes_account, namespace=namespace, selector=SELECTOR)
    documents = KubernetesDocuments(graphs, config_maps, readiness, namespace=namespace)
    tasks = [asyncio.create_task(each) for each in (documents.follow(), documents.retry())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


if __name__ == "__main__":
    main()
