"""Ports of the loopback interface that nobody listens on."""

import socket


def free_ports(count):
    """Ports nobody listens on; held together until all are known, so that none comes twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
