"""A TCP proxy that breaks connections off or slows them: what a restarted server or a poor network looks like to a client."""

import socket
import threading
import time
from contextlib import contextmanager, suppress

_FOR_EVER = 10**9
_CHUNK_BYTES = 16384


class CuttingProxy:
    """Forwards to `upstream` (`host:port`).

    The first `cuts` connections end after `after` bytes of the answer. While `pace` is set, each connection carries at most so
    many bytes per second in each direction.
    """

    def __init__(self, upstream, *, cuts, after, pace):
        host, port = upstream.rsplit(":", 1)
        self._upstream, self._after = (host, int(port)), after
        self.cuts, self.pace = cuts, pace
        self._open = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def drop(self):
        """Break off every connection that is open."""
        for each in list(self._open):
            _shut(each)

    @contextmanager
    def away(self):
        """Nobody is answered while the context lasts."""
        self.cuts, self._after = _FOR_EVER, 0
        self.drop()
        try:
            yield
        finally:
            self.cuts = 0

    def _accept(self):
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                budget = self._after if self.cuts > 0 else None
                self.cuts -= 1
                threading.Thread(target=self._forward, args=(caller, budget), daemon=True).start()

    def _forward(self, caller, budget):
        with caller, suppress(ConnectionRefusedError), socket.create_connection(self._upstream) as server:
            self._open |= {caller, server}
            threading.Thread(target=self._pump, args=(caller, server, None), daemon=True).start()
            self._pump(server, caller, budget)
            for each in (caller, server):
                _shut(each)
            self._open -= {caller, server}

    def _pump(self, source, target, budget):
        with suppress(OSError):
            while (budget is None or budget > 0) and (
                data := source.recv(_CHUNK_BYTES if budget is None else min(budget, _CHUNK_BYTES))
            ):
                target.sendall(data)
                budget = None if budget is None else budget - len(data)
                if self.pace is not None:
                    time.sleep(len(data) / self.pace)


def _shut(connection):
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting_proxy(upstream, *, cuts=0, after=0, pace=None):
    proxy = CuttingProxy(upstream, cuts=cuts, after=after, pace=pace)
    try:
        yield proxy
    finally:
        proxy.close()
