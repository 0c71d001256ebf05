"""The front end starts without TensorFlow."""

import subprocess
import sys


def test_the_app_and_the_filter_import_neither_tensorflow_nor_keras():
    program = (
        "import sys, pika_classifier.app, pika_classifier.serve.predictor, pika_classifier.jobs;"
        "print([m for m in ('tensorflow', 'keras', 'scipy', 'tf2onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
