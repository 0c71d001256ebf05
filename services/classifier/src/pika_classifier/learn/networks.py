"""The networks with their preprocessing: uint8 (N, 256, 256, 3) in, logits or probabilities out."""

import math

import keras
import numpy as np
from keras import ops

from pika_classifier.config import FeatureSet, Preset
from pika_classifier.features.network import FEATURES_NAME, MAPS_NAME, build_features
from pika_classifier.features.preprocessing import picture_input, shrink
from pika_classifier.learn.finetune import FineTuned
from pika_classifier.learn.frozen import FrozenHead
from pika_classifier.serve.predictor import NOVELTY_NAME, OUTPUT_NAME


def build(preset: Preset) -> keras.Model:
    """Build a new network, pictures → logits (N, 1); seeded by `keras.utils.set_random_seed`."""
    if preset.network == "article":
        return article_network(preset.input_size, preset.dropout)
    return residual_network(preset.input_size, preset.dropout)


def article_network(size: int, dropout: float) -> keras.Model:
    """Add three convolutions and a dense layer, about four thousand weights, like the article's."""
    pictures = picture_input()
    x = shrink(pictures, size, 1 / 255, 0.0)
    for width in (10, 10, 20):
        x = keras.layers.MaxPooling2D(2)(keras.layers.Conv2D(width, 3, activation="relu")(x))
    x = keras.layers.Dropout(dropout)(keras.layers.Flatten()(x))
    x = keras.layers.Dense(11, activation="relu")(x)
    return keras.Model(pictures, keras.layers.Dense(1, name="logit")(x), name="article")


def residual_network(size: int, dropout: float, widths: tuple[int, ...] = (32, 64, 128)) -> keras.Model:
    """Add a small pre-activation residual CNN (after He et al. 2016), 0.4 M weights."""
    pictures = picture_input()
    x = shrink(pictures, size, 1 / 127.5, -1.0)  # (N, size, size, 3), −1 … 1
    x = keras.layers.Conv2D(24, 5, strides=2, padding="same", use_bias=False)(x)
    for width in widths:
        x = _residual_block(x, width)  # halves height and width each time
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(dropout)(x)
    logits = keras.layers.Dense(1, name="logit")(x)
    return keras.Model(pictures, logits, name="residual_network")


def _residual_block(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """Add two 3×3 convolutions, the first with stride 2, beside an average-pooled 1×1 shortcut."""
    y = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
    shortcut = keras.layers.Conv2D(width, 1, use_bias=False)(keras.layers.AveragePooling2D(2)(y))
    y = keras.layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False)(y)
    y = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(y))
    y = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(y)
    return keras.layers.Add()([shortcut, y])


def logit_model(network: keras.Model, mirror: bool) -> keras.Model:
    """Build a model with preprocessing: uint8 pictures → logits float32 (N,).

    Args:
        network: of `build_network`.
        mirror: average the logits of a picture and its mirror image.
    """
    pictures = picture_input()
    # One batch of both sides, so that the exported graph contains the network once.
    both = ops.concatenate([pictures, ops.flip(pictures, axis=2)]) if mirror else pictures
    logits = network(both, training=False)  # (2N, 1)
    if mirror:
        logits = ops.mean(ops.reshape(logits, (2, -1, 1)), axis=0)
    return keras.Model(pictures, ops.reshape(logits, (-1,)), name="logits")


def serving_model(logits: keras.Model, temperature: float) -> keras.Model:
    """Build the exported model: uint8 pictures → {"probability": sigmoid(logit / temperature)}, (N,)."""
    pictures = picture_input()
    probability = ops.sigmoid(logits(pictures, training=False) / temperature)
    return keras.Model(pictures, {OUTPUT_NAME: probability}, name="is_pikachu")


def frozen_model(features: FeatureSet, head: FrozenHead) -> keras.Model:
    """Build the exported model of a head on frozen features: uint8 pictures → three float32 outputs.

    "probability" (N,); "novelty" (N,), the distance to the nearest known picture, below 1 for 99 % of known
    pictures; and "features" (N, F), from which both are computed.
    """
    pictures = picture_input()
    vector = build_features(features)(pictures)[FEATURES_NAME]
    score = _linear("score", vector, head.weights[:, None], np.array([head.bias]))[:, 0]
    doubts = _linear("doubts", vector, head.doubts, head.doubt_biases)
    (ss, so), (_, oo) = head.platt.covariance
    variance = ss * ops.square(score) + 2 * so * score + oo + ops.sum(ops.square(doubts), axis=-1)
    logit = (head.platt.slope * score + head.platt.offset) / ops.sqrt(1 + math.pi / 8 * variance)
    outputs = {
        OUTPUT_NAME: ops.sigmoid(logit + head.shift),
        NOVELTY_NAME: _novelty(vector, head),
        FEATURES_NAME: vector,
    }
    model = keras.Model(pictures, outputs, name="is_pikachu")
    model.trainable = False
    return model


def finetuned_model(features: FeatureSet, head: FrozenHead, tap: str, tuned: FineTuned) -> keras.Model:
    """Build the exported model of a fine-tuned network: uint8 pictures → "probability" and "novelty", (N,).

    Args:
        features, head: of the frozen network, in whose features novelty is measured.
        tap: the map that both networks share.
        tuned: the network above it.
    """
    pictures = picture_input()
    seen = build_features(features, tap)(pictures)
    both = ops.reshape(tuned.network(seen[MAPS_NAME], training=False), (2, -1))
    logit = tuned.slope * ops.mean(both, axis=0) + tuned.offset + tuned.shift
    outputs = {OUTPUT_NAME: ops.sigmoid(logit), NOVELTY_NAME: _novelty(seen[FEATURES_NAME], head)}
    model = keras.Model(pictures, outputs, name="is_pikachu")
    model.trainable = False
    return model


def _novelty(vector: keras.KerasTensor, head: FrozenHead) -> keras.KerasTensor:
    """Add the distance of features (N, F) to the nearest known picture, in units of the usual one."""
    axes, mean = head.projection.axes, head.projection.mean
    point = _linear("projection", vector, axes, -mean @ axes)
    known = head.references
    # |a − b|² = |a|² − 2 a·b + |b|²
    compared = _linear("references", point, -2 * known.T, (known**2).sum(axis=1))
    nearest = ops.min(ops.sum(ops.square(point), axis=-1, keepdims=True) + compared, axis=-1)
    return ops.sqrt(ops.maximum(nearest, 0.0) + 1e-6) / head.usual_distance


def _linear(name: str, x: keras.KerasTensor, kernel: np.ndarray, bias: np.ndarray) -> keras.KerasTensor:
    """Add x · kernel + bias with given numbers."""
    layer = keras.layers.Dense(kernel.shape[1], name=name)
    result = layer(x)
    layer.set_weights([kernel, bias])
    return result
