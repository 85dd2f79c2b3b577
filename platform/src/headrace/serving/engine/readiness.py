"""Whether an engine should be sent requests."""

from __future__ import annotations

from headrace.serving.engine.graphs import Graphs


class Readiness:
    """Not ready until it has caught up, ready from then on, and not ready any more once it is about to end.

    It has caught up when it knows all documents (`listed`), each of them is live or has failed, and every graph that is known to
    serve elsewhere serves here. After that no document can make the engine unready: one that cannot be run is every engine's
    trouble, and taking them all away would take the other graphs with it.

    Attributes:
        listed: whether all documents are known.
        leaving: whether the engine is about to end.
    """

    def __init__(self, graphs: Graphs, *, listed: bool) -> None:
        self._graphs = graphs
        self._caught_up = False
        self.listed, self.leaving = listed, False

    def why_not(self) -> str:
        """Why no request should be sent here; empty when one should."""
        if self.leaving:
            return "it is about to end"
        if not self.listed:
            return "its documents are not known yet"
        if not self._caught_up:
            behind = ["/".join(graph.desired.key) for graph in self._graphs if graph.owes or not graph.settled]
            if behind:
                return f"not yet served: {', '.join(sorted(behind))}"
            self._caught_up = True
        return ""
