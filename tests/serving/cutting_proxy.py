"""A TCP proxy that breaks connections off: what a restarted server or a lost network looks like to a client."""

import socket
import threading
from contextlib import contextmanager, suppress

_FOR_EVER = 10**9
_CHUNK_BYTES = 4096


class CuttingProxy:
    """Forwards to `upstream` (`host:port`). The first `cuts` connections end after `after` bytes of the answer."""

    def __init__(self, upstream, *, cuts, after):
        host, port = upstream.rsplit(":", 1)
        self._upstream, self._after = (host, int(port)), after
        self.cuts = cuts
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
        with caller, socket.create_connection(self._upstream) as server:
            self._open |= {caller, server}
            threading.Thread(target=_pump, args=(caller, server, None), daemon=True).start()
            _pump(server, caller, budget)
            for each in (caller, server):
                _shut(each)
            self._open -= {caller, server}


def _pump(source, target, budget):
    with suppress(OSError):
        while (budget is None or budget > 0) and (
            data := source.recv(_CHUNK_BYTES if budget is None else min(budget, _CHUNK_BYTES))
        ):
            target.sendall(data)
            budget = None if budget is None else budget - len(data)


def _shut(connection):
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting_proxy(upstream, *, cuts=0, after=0):
    proxy = CuttingProxy(upstream, cuts=cuts, after=after)
    try:
        yield proxy
    finally:
        proxy.close()
