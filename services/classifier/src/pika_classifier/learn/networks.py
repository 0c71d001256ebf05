"""The networks, with their preprocessing inside: uint8 (N, 256, 256, 3) in, logits or probabilities out.

A classifier has two parts, each a Keras model: `features`, which is frozen and may be missing, and `head`,
which is trained. "scratch" is all head; "lite0" is a linear head on frozen EfficientNet-Lite0 features.
"""

from dataclasses import dataclass

import keras

from pika_classifier.config import Preset
from pika_classifier.features.preprocessing import picture_input, shrink
from pika_eyes.lite import LITE0, NUM_FEATURES, build_lite

OUTPUT_NAME = "probability"


@dataclass
class Classifier:
    """The parts of one classifier.

    Attributes:
        features: uint8 (N, 256, 256, 3) → float32 (N, F), never trained; None where the head does it all.
        head: what `features` gives (or the pictures themselves) → logits float32 (N, 1).
    """

    features: keras.Model | None
    head: keras.Model


def build(preset: Preset) -> Classifier:
    """A classifier with a fresh head; `keras.utils.set_random_seed` decides its first weights."""
    if preset.network == "lite0":
        head = linear_head(NUM_FEATURES, preset.dropout)
        return Classifier(lite0_features(preset.input_size), head)
    return Classifier(None, residual_network(preset.input_size, preset.dropout))


def lite0_features(size: int) -> keras.Model:
    """uint8 (N, 256, 256, 3) → float32 (N, 1280): square roots of ImageNet features, frozen.

    The roots tame the few very large features; a linear head ranks the validation pictures better on them.

    Args:
        size: side in pixels of what the network sees; divides 256.
    """
    pictures = picture_input()
    features = build_lite(LITE0, size)(shrink(pictures, size, 1 / 128, -127 / 128))
    model = keras.Model(pictures, keras.ops.sqrt(features), name="lite0_features")  # means of ReLU6: none < 0
    model.trainable = False
    return model


def linear_head(num_features: int, dropout: float) -> keras.Model:
    """Features → one logit: a logistic regression.

    Not standardised: on real pictures, features of their own sizes ranked better than features of one size.
    """
    features = keras.Input((num_features,), name="features")
    x = keras.layers.Dropout(dropout)(features)
    # Zero weights: the even answer is where every run starts, so that early stopping shrinks towards it.
    logits = keras.layers.Dense(1, kernel_initializer="zeros", name="logit")(x)
    return keras.Model(features, logits, name="linear_head")


def residual_network(size: int, dropout: float, widths: tuple[int, ...] = (32, 64, 128)) -> keras.Model:
    """A small residual CNN (after He et al. 2016, pre-activation), 0.4 M weights at the default widths."""
    pictures = picture_input()
    x = shrink(pictures, size, 1 / 127.5, -1.0)  # (N, size, size, 3), −1 … 1
    x = keras.layers.Conv2D(24, 5, strides=2, padding="same", use_bias=False)(x)
    for width in widths:
        x = _residual_block(x, width)  # half the height and width each time
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(dropout)(x)
    logits = keras.layers.Dense(1, name="logit")(x)
    return keras.Model(pictures, logits, name="residual_network")


def _residual_block(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """Two 3×3 convolutions, the first with stride 2, beside a mean-pooled 1×1 shortcut."""
    y = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
    shortcut = keras.layers.Conv2D(width, 1, use_bias=False)(keras.layers.AveragePooling2D(2)(y))
    y = keras.layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False)(y)
    y = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(y))
    y = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(y)
    return keras.layers.Add()([shortcut, y])


def logit_model(classifier: Classifier, mirror: bool) -> keras.Model:
    """The whole classifier: uint8 pictures → logits float32 (N,).

    Args:
        mirror: average a picture and its mirror image (their features, or else their logits).
    """
    pictures = picture_input()
    first = classifier.features if classifier.features is not None else classifier.head
    # One batch of both sides, so that the network stands in the exported graph once.
    both = keras.ops.concatenate([pictures, keras.ops.flip(pictures, axis=2)]) if mirror else pictures
    x = first(both, training=False)  # (2N, F) or (2N, 1)
    if mirror:
        x = keras.ops.mean(keras.ops.reshape(x, (2, -1, x.shape[-1])), axis=0)
    logits = classifier.head(x, training=False) if classifier.features is not None else x
    return keras.Model(pictures, keras.ops.reshape(logits, (-1,)), name="logits")


def serving_model(logits: keras.Model, temperature: float) -> keras.Model:
    """What is exported: uint8 pictures → {"probability": sigmoid(logit / temperature), float32 (N,)}."""
    pictures = picture_input()
    probability = keras.ops.sigmoid(logits(pictures, training=False) / temperature)
    return keras.Model(pictures, {OUTPUT_NAME: probability}, name="is_pikachu")
