"""How the learning rate changes over a training."""

from __future__ import annotations

import keras

from headrace.specs.training import Schedule

WARM_UP = 0.15
"""Of all steps: what the one-cycle schedule spends on climbing."""
START = 0.1
"""Of the peak: where it starts."""


def learning_rate(schedule: Schedule, peak: float, *, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The rate for each of `steps` global batches.

    One cycle (after Smith and Topin, https://arxiv.org/abs/1708.07120) climbs linearly to the peak and falls to 0 along a
    cosine: large steps while they help, none when the training ends.
    """
    if schedule is Schedule.CONSTANT:
        return peak
    climb = max(1, round(WARM_UP * steps))
    return keras.optimizers.schedules.CosineDecay(
        START * peak, max(1, steps - climb), alpha=0.0, warmup_target=peak, warmup_steps=climb
    )
