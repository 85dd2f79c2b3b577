"""Callers that ask an endpoint on this machine all the time, while something else is done to it."""

import itertools
import threading

import httpx


class Trickle:
    """Predictions from several callers, each one after the other, until it is left; counts them, and keeps what failed.

    Only a loopback address is asked.

    Args:
        url: the endpoint's.
        image: what each prediction is of.
        callers: how many ask at once.
        pause: seconds between a caller's answer and its next request.
    """

    def __init__(self, url, *, image, callers, pause=0.0):
        assert httpx.URL(url).host == "127.0.0.1", url
        self._url, self._message, self._pause = url, {"data": {"ndarray": [image]}}, pause
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(index,)) for index in range(callers)]
        self._asked, self._answered, self.failures = [0] * callers, [0] * callers, []

    @property
    def asked(self):
        """How many were sent."""
        return sum(self._asked)

    @property
    def answered(self):
        """How many got an answer, and no refusal."""
        return sum(self._answered)

    def _ask(self, index):
        with httpx.Client(timeout=30, trust_env=False) as client:
            for self._asked[index] in itertools.count(1):
                try:
                    reply = client.post(self._url, json=self._message)
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                else:
                    self._keep(index, reply)
                if self._done.wait(self._pause):
                    return

    def _keep(self, index, reply):
        if reply.status_code == httpx.codes.OK:
            self._answered[index] += 1
        else:
            self.failures.append(reply.text)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join()
