"""Where graphs run, as the settings say it."""

import pytest

from headrace.bootstrap import Platform
from headrace.config import Settings


@pytest.mark.parametrize(
    ("backend", "serving", "mirrors", "in_pods"),
    [("local", "engine", True, False), ("kubernetes", "engine", True, True), ("kubernetes", "seldon", False, True)],
)
def test_seldon_alone_is_sent_no_shadow(tmp_path, backend, serving, mirrors, in_pods):
    settings = Settings(project=tmp_path, backend=backend, serving_backend=serving)
    target = Platform(settings).serving_target
    assert (target.mirrors, target.cluster is not None) == (mirrors, in_pods)
