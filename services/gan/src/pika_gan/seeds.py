"""Seeds → latents inside a TensorFlow graph, with the same integers as `latents.latent`.

Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3) keyed by the
seed, followed by the Box–Muller transform. Exported models use it to draw a seed's picture by themselves.
64-bit words are int64 here, which wraps around in products and sums like uint64; only shifts need uint64.
ONNX supports all of these operations for these types.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

NUM_ROUNDS = 10
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_BUMPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_LOW_HALF = 0xFFFFFFFF


def latents_from_seeds(seeds: Any, truncation: Any, dim: int) -> Any:
    """Map seeds (N,) int64 in 0 … 2³² − 1 and truncation () float32 to latents (N, dim) float32."""
    pairs = (dim + 1) // 2
    raw = _random_words(seeds, 2 * pairs)
    uniform = (tf.cast(_shifted(raw, 11), tf.float64) + 0.5) / 2.0**53  # (N, 2 · pairs) in (0, 1)
    radius = tf.sqrt(-2 * tf.math.log(uniform[:, :pairs]))
    angle = 2 * np.pi * uniform[:, pairs:]
    normal = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=1)[:, :dim]
    return tf.cast(normal, tf.float32) * truncation


def _random_words(seeds: Any, num: int) -> Any:
    """Return the first `num` words of each seed's stream, (N, num) int64."""
    blocks = -(-num // 4)
    # The counter is incremented before each block, so the first block uses 1.
    zeros = tf.zeros_like(seeds)[:, None] + tf.zeros((1, blocks), tf.int64)
    counter = [zeros + tf.range(1, blocks + 1, dtype=tf.int64), zeros, zeros, zeros]
    key = [seeds[:, None] + zeros, zeros]
    for number in range(NUM_ROUNDS):
        if number:
            key = [word + _word(bump) for word, bump in zip(key, _BUMPS, strict=True)]
        counter = _round(counter, key)
    return tf.reshape(tf.stack(counter, axis=2), (-1, 4 * blocks))[:, :num]


def _round(counter: list[Any], key: list[Any]) -> list[Any]:
    high_0, low_0 = _product(_MULTIPLIERS[0], counter[0])
    high_1, low_1 = _product(_MULTIPLIERS[1], counter[2])
    return [_xor(high_1, counter[1], key[0]), low_1, _xor(high_0, counter[3], key[1]), low_0]


def _product(factor: int, words: Any) -> tuple[Any, Any]:
    """Return the high and low words of the 128-bit product, computed from 32-bit halves."""
    a_high, a_low = _word(factor >> 32), _word(factor & _LOW_HALF)
    b_high, b_low = _shifted(words, 32), _low_half(words)
    middle = a_high * b_low + _shifted(a_low * b_low, 32)
    other = a_low * b_high + _low_half(middle)
    return a_high * b_high + _shifted(middle, 32) + _shifted(other, 32), _word(factor) * words


def _word(value: int) -> Any:
    return tf.constant(np.array(value, np.uint64).astype(np.int64))


def _shifted(words: Any, bits: int) -> Any:
    """Logical shift to the right."""
    unsigned = tf.cast(words, tf.uint64)  # modulo 2⁶⁴, as C++ does
    return tf.cast(tf.bitwise.right_shift(unsigned, tf.constant(bits, tf.uint64)), tf.int64)


def _low_half(words: Any) -> Any:
    return tf.bitwise.bitwise_and(words, tf.constant(_LOW_HALF, tf.int64))


def _xor(*words: Any) -> Any:
    first, second, third = words
    return tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(first, second), third)
