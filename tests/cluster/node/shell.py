"""Running programs to their end."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster.node.home import NodeError

_TAIL = 3000


def run(
    *argv: str, within: float = 120, text: str | None = None, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> str:
    """Standard output of a program that must succeed; NodeError holds the end of what it said otherwise."""
    done = _run(argv, within=within, text=text, env=env, cwd=cwd)
    if done.returncode != 0:
        raise NodeError(f"{' '.join(argv)} failed ({done.returncode}): {(done.stdout + done.stderr)[-_TAIL:].strip()}")
    return done.stdout


def show(*argv: str, env: Mapping[str, str], cwd: Path) -> None:
    """Run a program that must succeed and may take long, and let it say what it says."""
    code = subprocess.run(argv, env=env, cwd=cwd, check=False).returncode
    if code != 0:
        raise NodeError(f"{' '.join(argv)} failed ({code}); its own words are above")


def succeeds(*argv: str, within: float = 30, env: Mapping[str, str] | None = None) -> bool:
    """Whether the program ends with 0."""
    return _run(argv, within=within, env=env).returncode == 0


def _run(
    argv: Sequence[str],
    *,
    within: float,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=within, input=text, env=env, cwd=cwd, check=False)
    except FileNotFoundError as error:
        raise NodeError(f"there is no program {argv[0]}: is it installed, and is its folder in PATH?") from error
    except subprocess.TimeoutExpired as error:
        raise NodeError(f"{' '.join(argv)} did not end within {within:g} s") from error
