"""The networks. Each takes raw images and gives probabilities, so that training and serving cannot prepare them differently."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers

from headrace.specs.training import Architecture

FILTERS = (32, 64, 64)
"""Of the three convolutions; a 2×2 max-pooling stands between them."""
HIDDEN = 64
DROPOUT = 0.2
Block = Callable[[keras.KerasTensor, int], keras.KerasTensor]


def build(architecture: Architecture, *, shape: tuple[int, ...], classes: int) -> keras.Model:
    """A new network with random weights.

    Args:
        architecture: which one.
        shape: of one image, (height, width).
        classes: how many there are.

    Returns:
        A model from `uint8[n, height, width]` (0 … 255) to `float32[n, classes]`, each row summing to 1.
    """
    image = keras.Input(shape=shape, dtype="uint8", name="image")
    # -1 … 1: around zero, networks learn faster than on 0 … 1 (a point more accuracy after five epochs).
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = layers.Reshape((*shape, 1))(x)
    x = _BODIES[architecture](x)
    probabilities = layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model(image, probabilities, name=architecture.value)


def _cnn(x: keras.KerasTensor) -> keras.KerasTensor:
    return _dense(_convolutions(x, _plain))


def _cnn_batch_norm(x: keras.KerasTensor) -> keras.KerasTensor:
    return _dense(_convolutions(x, _normalised))


def _cnn_dropout(x: keras.KerasTensor) -> keras.KerasTensor:
    x = _dense(layers.Dropout(DROPOUT)(_convolutions(x, _plain)))
    return layers.Dropout(DROPOUT)(x)


def _convolutions(x: keras.KerasTensor, block: Block) -> keras.KerasTensor:
    first, *others = FILTERS
    x = block(x, first)
    for filters in others:
        x = block(layers.MaxPooling2D()(x), filters)
    return layers.Flatten()(x)


def _plain(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    return layers.Conv2D(filters, 3, activation="relu")(x)


def _normalised(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    # The normalisation has an offset of its own, so the convolution needs none. A momentum of 0.9 (Keras: 0.99) lets the
    # moving statistics settle within the few hundred steps of a short training.
    x = layers.Conv2D(filters, 3, use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def _dense(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Dense(HIDDEN, activation="relu")(x)


_BODIES: dict[Architecture, Callable[[keras.KerasTensor], keras.KerasTensor]] = {
    Architecture.CNN: _cnn,
    Architecture.CNN_BATCH_NORM: _cnn_batch_norm,
    Architecture.CNN_DROPOUT: _cnn_dropout,
}
