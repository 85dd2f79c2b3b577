"""The pictures on a gate's page, as inline SVG: no file beside it, sharp at any size, text that can be searched."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from headrace.specs.gate import CalibrationBin, SliceEvidence

CANDIDATE, CHAMPION, INK = "#1f6f8b", "#c9a66b", "#22313f"
_WHITE_FROM = 0.4
"""From here on a cell is so dark that dark figures cannot be read on it."""

_as_they_are = rc_context({"text.parse_math": False})
"""Names are drawn as they are: a `$` in one begins no formula."""


@_as_they_are
def reliability(bins: Sequence[CalibrationBin]) -> str:
    """Accuracy over confidence: on the diagonal a network is as sure as it is right. Bins are as wide as their number says."""
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    filled = [each for each in bins if each.rows]
    largest = max((each.rows for each in filled), default=1)
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":")
    axes.scatter(
        [each.confidence for each in filled],
        [each.accuracy for each in filled],
        s=[20 + 260 * each.rows / largest for each in filled],
        color=CANDIDATE,
        alpha=0.8,
        linewidths=0,
    )
    axes.plot([each.confidence for each in filled], [each.accuracy for each in filled], color=CANDIDATE, linewidth=1)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy")
    _percentages(axes)
    return _svg(figure, "reliability")


@_as_they_are
def slice_accuracies(slices: Sequence[SliceEvidence]) -> str:
    """The accuracy on each slice: the candidate's and, where something serves, the champion's above it."""
    figure = Figure(figsize=(6.4, 0.8 + 0.42 * len(slices)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(slices))
    former = [each.champion_accuracy for each in slices]
    compared = any(accuracy is not None for accuracy in former)
    height = 0.36 if compared else 0.6
    axes.barh(places + height / 2 * compared, [each.accuracy for each in slices], height, color=CANDIDATE, label="candidate")
    if compared:
        axes.barh(places - height / 2, [each or 0.0 for each in former], height, color=CHAMPION, label="serves now")
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
    for place, each in zip(places, slices, strict=True):
        axes.text(each.accuracy, place + height / 2 * compared, f" {each.accuracy:.1%}", va="center", fontsize=8, color=INK)
    axes.set_yticks(places, [each.name for each in slices])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.1)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return _svg(figure, "slices")


@_as_they_are
def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """Each true class's answers in per cent; rows are the truth."""
    matrix = np.asarray(counts)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 1.8 + 0.46 * len(classes)
    figure = Figure(figsize=(side, side * 0.92), layout="constrained")
    axes = figure.subplots()
    # The square root brings out the few mistakes beside the many right answers.
    axes.pcolormesh(np.sqrt(share), cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1)
    ticks = np.arange(len(classes)) + 0.5
    axes.set_xticks(ticks, classes, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, classes)
    axes.set(xlabel="answer", ylabel="truth")
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(share):
        if round(100 * value):
            color = "white" if value > _WHITE_FROM else INK
            axes.text(column + 0.5, row + 0.5, f"{100 * value:.0f}", ha="center", va="center", fontsize=8, color=color)
    return _svg(figure, "confusion")


def _percentages(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)


def _svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element. Equal figures give equal text; `name` keeps its ids apart from another's on the page."""
    FigureCanvasSVG(figure)
    text = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "svg.id": name}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2]
