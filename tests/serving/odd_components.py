"""Seldon components that misbehave, each in one way. They run in the serving environment, below the engine under test."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np


class Answer:
    """A model that answers the same message to everyone."""

    def __init__(self, message):
        self._message = json.loads(message)

    def predict_raw(self, msg):
        return self._message


class Sleeper(Answer):
    """A model that takes its time: to load, or to answer."""

    def __init__(self, message, answer_after=0.0, load_for=0.0):
        super().__init__(message)
        self._answer_after, self._load_for = answer_after, load_for

    def load(self):
        time.sleep(self._load_for)

    def predict_raw(self, msg):
        time.sleep(self._answer_after)
        return super().predict_raw(msg)


class Mortal(Answer):
    """A model that ends soon after it has become ready, again and again."""

    def __init__(self, message, seconds):
        super().__init__(message)
        threading.Timer(seconds, os._exit, args=[1]).start()


class Poisonable(Answer):
    """A model that dies of one kind of message."""

    def predict_raw(self, msg):
        if "poison" in msg:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(10)
        return super().predict_raw(msg)


class Moody(Answer):
    """A model whose first process to be asked fails from then on; with the file's name ending in `.all`, every one does."""

    def __init__(self, message, broken):
        super().__init__(message)
        self._broken = Path(broken)

    def predict_raw(self, msg):
        if self._broken.with_suffix(".all").exists() or self._is_broken():
            raise RuntimeError("out of sorts")
        return super().predict_raw(msg)

    def _is_broken(self):
        try:
            with self._broken.open("x") as file:
                file.write(str(os.getpid()))
        except FileExistsError:
            pass
        return self._broken.read_text() == str(os.getpid())


class Blank:
    """A transformer that puts empty images in place of what came."""

    def transform_input_raw(self, msg):
        return {"data": {"ndarray": np.zeros((1, 28, 28), int).tolist()}}
