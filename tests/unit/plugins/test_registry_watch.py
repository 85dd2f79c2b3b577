"""The watch over the registry: every desire is told of, none twice in a row, and nobody in the triggerer waits for it."""

import asyncio
import os
import subprocess
import sys
import time
from contextlib import aclosing
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from headrace import bootstrap
from headrace.errors import UnavailableError
from headrace_airflow.registry_watch import AGAIN_AFTER_SECONDS, RegistryTrigger, Sightings

ROOT = Path(__file__).parents[3]


class Installation:
    """A platform of which only the desires are asked: one answer a look, the last one for ever."""

    def __init__(self, *answers, takes=0.0):
        self.answers, self.takes, self.looks = list(answers), takes, 0

    def desires(self):
        self.looks += 1
        time.sleep(self.takes)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def install(monkeypatch):
    def install(*answers, **more):
        installation = Installation(*answers, **more)
        monkeypatch.setattr(bootstrap, "Platform", lambda: installation)
        return installation

    return install


def watch(installation, *, until_looks):
    """The payloads of a new trigger's events, until it has looked so many times."""

    async def collect():
        fired = []

        async def run():
            async with aclosing(RegistryTrigger(every=0).run()) as events:
                async for event in events:
                    fired.append(event.payload)

        running = asyncio.create_task(run())
        while installation.looks < until_looks and not running.done():
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()
        return fired

    return asyncio.run(collect())


def test_each_desire_is_told_once(install):
    first, second = {"shoes": "slot-1=1"}, {"shoes": "slot-1=2"}
    installation = install({}, first, first, second, second, {}, {})
    assert watch(installation, until_looks=9) == [{"desires": first}, {"desires": second}]


def test_a_desire_that_was_fulfilled_and_comes_back_is_told_again(install):
    desire = {"shoes": "slot-1=1"}
    assert watch(install(desire, {}, desire, {}), until_looks=6) == [{"desires": desire}] * 2


def test_a_second_ensemble_is_told_of_while_the_first_still_waits_and_one_that_is_done_is_not_news(install):
    both = {"shoes": "slot-1=1", "hats": "slot-1=7"}
    installation = install({"shoes": "slot-1=1"}, both, {"hats": "slot-1=7"}, {"hats": "slot-1=7"})
    assert watch(installation, until_looks=6) == [{"desires": {"shoes": "slot-1=1"}}, {"desires": both}]


def test_a_new_trigger_tells_of_what_still_waits(install):
    installation = install({"shoes": "slot-1=1"})
    assert watch(installation, until_looks=3) == watch(installation, until_looks=6) == [{"desires": {"shoes": "slot-1=1"}}]


def test_what_goes_on_waiting_is_told_again_after_a_while():
    sightings, desire = Sightings(), {"shoes": "slot-1=1"}
    assert sightings.fires(desire, 100.0)
    assert not sightings.fires(desire, 100.0 + AGAIN_AFTER_SECONDS - 0.1)
    assert sightings.fires(desire, 100.0 + AGAIN_AFTER_SECONDS)
    assert not sightings.fires(desire, 101.0 + AGAIN_AFTER_SECONDS)
    assert not sightings.fires({}, 1000.0)


def test_a_service_that_is_away_is_said_once_and_looked_for_again(install, monkeypatch):
    said = []
    monkeypatch.setattr(RegistryTrigger, "log", SimpleNamespace(warning=lambda text, *values: said.append(text % values)))
    away = UnavailableError("MLflow does not answer")
    installation = install(away, away, away, {"shoes": "slot-1=1"}, away)
    assert watch(installation, until_looks=7) == [{"desires": {"shoes": "slot-1=1"}}]
    assert said == ["the registry cannot be watched: MLflow does not answer"] * 2


def test_a_slow_look_holds_nothing_up(install):
    installation = install({}, takes=0.2)

    async def longest_pause():
        running = asyncio.create_task(anext(RegistryTrigger(every=0).run()))
        longest = 0.0
        while installation.looks < 3:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - began)
        running.cancel()
        return longest

    assert asyncio.run(longest_pause()) < 0.15


def test_the_trigger_is_made_anew_from_what_it_serialises():
    path, arguments = RegistryTrigger(every=2.5).serialize()
    module, name = path.rsplit(".", 1)
    assert getattr(import_module(module), name)(**arguments).every == 2.5


LOOK = """
import sys
from headrace.bootstrap import Platform
from headrace.config import Settings
from headrace.errors import UnavailableError
import headrace_airflow.registry_watch

platform = Platform(Settings(project=sys.argv[1], database_url="postgresql+psycopg2://a:b@127.0.0.1:9/c"))
platform.registry_watch
try:
    platform.desires()
except UnavailableError:
    print(sorted({"mlflow", "tensorflow", "kubernetes"} & set(sys.modules)))
"""


def test_looking_imports_no_client_library_of_mlflow():
    environment = os.environ | {"PYTHONPATH": str(ROOT / "plugins")}
    done = subprocess.run([sys.executable, "-c", LOOK, ROOT], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
