"""The front end starts without TensorFlow."""

import subprocess
import sys


def test_the_app_imports_neither_tensorflow_nor_keras():
    program = (
        "import sys, pika_gan.app, pika_gan.http.generate, pika_gan.latents, pika_gan.serving;"
        "print([m for m in ('tensorflow', 'keras', 'scipy', 'tf2onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
