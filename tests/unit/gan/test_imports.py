"""The front end starts without TensorFlow, and so does a training on JAX."""

import os
import subprocess
import sys


def test_the_app_imports_neither_tensorflow_nor_keras():
    program = (
        "import sys, pika_gan.app, pika_gan.http.generate, pika_gan.latents, pika_gan.serving;"
        "print([m for m in ('tensorflow', 'keras', 'scipy', 'tf2onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_on_jax_the_training_imports_no_tensorflow():
    program = "import sys, pika_gan.train, keras; print(keras.backend.backend(), 'tensorflow' in sys.modules)"
    environ = {**os.environ, "PIKA_GAN_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environ
    )
    assert done.stdout.strip() == "jax False"
