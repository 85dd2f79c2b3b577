"""A bounded load on one endpoint of this machine."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import numpy as np


@dataclass(frozen=True)
class Load:
    """What callers saw: answered requests a second, latencies in milliseconds, and how many requests failed."""

    rps: float
    p50_ms: float
    p99_ms: float
    failed: int


def measure_endpoint(url: str, body: bytes, *, callers: int, seconds: float) -> Load:
    """Ask `url` with the same body from so many callers at once, each waiting for its answer before it asks again.

    Only loopback addresses are asked.
    """
    assert urlsplit(url).hostname == "127.0.0.1", url
    latencies: list[list[float]] = [[] for _ in range(callers)]
    failed = [0] * callers
    start = threading.Barrier(callers)
    ends = time.perf_counter() + seconds

    def call(index: int) -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            start.wait()
            while time.perf_counter() < ends:
                began = time.perf_counter()
                reply = client.post(url, content=body, headers={"Content-Type": "application/json"})
                latencies[index].append(time.perf_counter() - began)
                failed[index] += not reply.is_success

    began = time.perf_counter()
    threads = [threading.Thread(target=call, args=(index,)) for index in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = np.concatenate(latencies) * 1000
    return Load(
        rps=len(everything) / (time.perf_counter() - began),
        p50_ms=float(np.median(everything)),
        p99_ms=float(np.percentile(everything, 99)),
        failed=sum(failed),
    )
