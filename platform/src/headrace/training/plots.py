"""A training's pictures: how it learned, and what it mistakes for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

TRAINING, VALIDATION, INK = "#8aa4b8", "#d1495b", "#22313f"
WHITE_FROM = 0.4
"""From here on a cell is so dark that dark figures cannot be read on it."""


def learning_curve(history: Sequence[Mapping[str, float]], *, title: str) -> Figure:
    """Loss and accuracy of training and validation over the epochs.

    Args:
        history: each epoch's metrics: `loss`, `accuracy`, `validation_loss`, `validation_accuracy`.
        title: above the picture.
    """
    figure = _figure(10, 4.2)
    left, right = figure.subplots(1, 2)
    _curves(left, history, "loss")
    _curves(right, history, "accuracy")
    right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    last = history[-1]["validation_accuracy"]
    style: dict[str, Any] = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center"}
    right.annotate(f"{last:.1%}", (len(history), last), color=VALIDATION, weight="bold", **style)
    right.margins(y=0.15)
    figure.suptitle(title, color=INK, weight="bold")
    return figure


def confusion_matrix(confusion: NDArray[np.int64], classes: Sequence[str], *, title: str) -> Figure:
    """Each true class's answers in per cent.

    Args:
        confusion: int64[n, n], rows the truth, columns the answers.
        classes: n names.
        title: above the picture.
    """
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    figure = _figure(8.2, 7.4)
    axes = figure.subplots()
    # The square root brings out the few mistakes beside the many right answers.
    axes.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, classes)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(share):
        if round(100 * value):
            color = "white" if value > WHITE_FROM else INK
            axes.text(column, row, f"{value:.0%}", ha="center", va="center", fontsize=9, color=color)
    axes.set_title(title, color=INK, weight="bold", pad=12)
    return figure


def _curves(axes: Axes, history: Sequence[Mapping[str, float]], metric: str) -> None:
    epochs = range(1, len(history) + 1)
    style: dict[str, Any] = {"marker": "o", "markersize": 4, "linewidth": 2}
    axes.plot(epochs, [m[metric] for m in history], color=TRAINING, label="training", **style)
    axes.plot(epochs, [m[f"validation_{metric}"] for m in history], color=VALIDATION, label="validation", **style)
    axes.set_xlabel("epoch")
    axes.set_title(metric, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def _figure(width: float, height: float) -> Figure:
    """A figure of its own: `pyplot` keeps figures in global state, and nothing here is shown on a screen."""
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
