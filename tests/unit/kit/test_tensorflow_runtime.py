import os
import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="elsewhere TensorFlow decides")
@pytest.mark.parametrize("package", ["pika_gan", "pika_classifier"])
@pytest.mark.parametrize(("outside", "expected"), [(None, "1"), ("0", "0")])
def test_onednn_computes_unless_it_is_disabled_from_outside(package, outside, expected):
    name = "TF_ENABLE_ONEDNN_OPTS"
    environ = {key: value for key, value in os.environ.items() if key != name}
    if outside is not None:
        environ[name] = outside
    code = f"import os, sys, {package}; print(os.environ['{name}'], 'tensorflow' in sys.modules)"
    told = subprocess.check_output([sys.executable, "-c", code], env=environ, text=True)
    assert told.split() == [expected, "False"]
