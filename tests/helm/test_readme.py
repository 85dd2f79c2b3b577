"""The chart's README is what its schema and defaults make it."""

import importlib.util

from helm.chart import CHART


def test_the_readme_is_up_to_date():
    spec = importlib.util.spec_from_file_location("generate_readme", CHART.parent / "generate_readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.README.read_text() == module.render(), "run `make chart-readme` and look at the difference"
