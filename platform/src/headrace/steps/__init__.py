"""Steps as commands: `python -m headrace.steps NAME` (see `headrace.specs.step`)."""
