"""Train a GAN on the pikachu bucket and serve POST /generate."""

import os as _os

from pika_kit import tensorflow_runtime as _runtime

if _os.environ.get("PIKA_GAN_BACKEND"):  # Keras reads this when it is first imported, later
    _os.environ["KERAS_BACKEND"] = _os.environ["PIKA_GAN_BACKEND"]
_runtime.prefer_onednn()
_runtime.prefer_parallel_operations()
