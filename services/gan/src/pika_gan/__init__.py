"""Trains a GAN on the pikachu bucket and serves POST /generate."""

import os as _os

if _os.environ.get("PIKA_GAN_BACKEND"):  # Keras reads it when it is first imported, which is later than here
    _os.environ["KERAS_BACKEND"] = _os.environ["PIKA_GAN_BACKEND"]
