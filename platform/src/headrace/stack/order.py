"""The order of starting and stopping, from what each node needs: pure functions over the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from headrace.errors import StackError
from headrace.stack.part import Assembly, Part


def needs_of(assembly: Assembly) -> dict[str, tuple[str, ...]]:
    """Every node's name with the names it needs.

    Raises:
        StackError: two nodes share a name, or a node needs an unknown one, or itself by a detour.
    """
    twice = [name for name, count in Counter(node.name for node in assembly.nodes).items() if count > 1]
    if twice:
        raise StackError("the stack has two parts or set-ups of one name", where=twice[0])
    needs = {node.name: node.needs for node in assembly.nodes}
    unknown = {(name, need) for name, wanted in needs.items() for need in wanted if need not in needs}
    if unknown:
        name, need = sorted(unknown)[0]
        raise StackError(f"{name} needs {need}, which the stack does not have", where=name)
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        raise StackError("the stack's parts need each other in a circle", where=" → ".join(error.args[1])) from error
    return needs


def stop_waves(assembly: Assembly) -> list[list[Part]]:
    """The parts in the reverse of their dependencies: what nothing needs first; one wave's parts may stop at the same time."""
    needs = needs_of(assembly)
    height = {part.name: _height(part.name, needs, assembly) for part in assembly.parts}
    levels = sorted(set(height.values()))
    return [[part for part in assembly.parts if height[part.name] == level] for level in levels]


def _height(name: str, needs: Mapping[str, Sequence[str]], assembly: Assembly) -> int:
    """How many parts stand on this node, one on the other; set-ups pass a need on but have nothing to stop themselves."""
    dependents = [other for other, wanted in needs.items() if name in wanted]
    return max((_height(other, needs, assembly) + (assembly.part(other) is not None) for other in dependents), default=0)
