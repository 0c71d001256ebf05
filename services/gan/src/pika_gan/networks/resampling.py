"""Convolutions that double or halve the size, each in one operation with fewer multiplications.

Nearest upsampling repeats every value four times, and the convolution after it multiplies each copy; an
average of the four results of a convolution sums products that have weights in common. Summing the weights
first gives the same pictures: a 3×3 kernel and a 2×2 box become one 4×4 kernel with a stride of 2, which
needs 16 multiplications where 36 were needed. The weights that are trained and saved are those of the 3×3
kernel.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops


class _Resampling(layers.Conv2D):
    """A 3×3 convolution with zero padding, `filters` channels and the options of Conv2D."""

    def __init__(self, filters: int, **options: Any) -> None:
        super().__init__(filters, 3, padding="same", **options)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        fixed = ("kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups")
        return {key: value for key, value in config.items() if key not in fixed}

    def _finished(self, x: Any) -> Any:
        if self.bias is not None:
            x = x + self.bias
        return x if self.activation is None else self.activation(x)


class UpConv2D(_Resampling):
    """Nearest upsampling by 2, then the convolution: (N, H, W, C) → (N, 2H, 2W, filters)."""

    def call(self, x: Any) -> Any:
        """Compute both as one transposed convolution."""
        # Transposed convolutions turn the kernel around and exchange its channels.
        kernel = summed_with_box(ops.transpose(ops.flip(self.kernel, (0, 1)), (0, 1, 3, 2)))
        return self._finished(ops.conv_transpose(x, kernel, strides=2, padding="same"))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """See Keras."""
        num, height, width, _ = input_shape
        return num, height and 2 * height, width and 2 * width, self.filters


class DownConv2D(_Resampling):
    """The convolution, then the average of 2×2 pixels: (N, H, W, C) → (N, H/2, W/2, filters)."""

    def call(self, x: Any) -> Any:
        """Compute both as one convolution with a stride of 2."""
        return self._finished(ops.conv(x, summed_with_box(self.kernel) / 4, strides=2, padding="same"))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """See Keras."""
        num, height, width, _ = input_shape
        return num, height and height // 2, width and width // 2, self.filters


def summed_with_box(kernel: Any) -> keras.KerasTensor:
    """Convolve a kernel (3, 3, …) with a 2×2 box of ones: (4, 4, …)."""
    rest = [(0, 0)] * (len(kernel.shape) - 2)
    return sum(ops.pad(kernel, [(a, 1 - a), (b, 1 - b), *rest]) for a in (0, 1) for b in (0, 1))
