import os
import platform
import subprocess
import sys

import pytest

from pika_kit.threads import usable_cores


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


@pytest.mark.parametrize(
    ("cores", "outside", "expected"), [(2, {}, ("1", "2")), (1, {}, ()), (2, {"INTRA": "2"}, ("2", "2"))]
)
def test_on_two_cores_two_operations_run_at_once_unless_set_from_outside(cores, outside, expected):
    if usable_cores() < cores:
        pytest.skip(f"expected {cores} cores, received {usable_cores()}")
    names = [f"TF_NUM_{kind}OP_THREADS" for kind in ("INTRA", "INTER")]
    environ = {key: value for key, value in os.environ.items() if key not in names}
    environ |= {f"TF_NUM_{kind}OP_THREADS": value for kind, value in outside.items()}
    code = (
        f"import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:{cores}]); import pika_gan; "
        f"print(*(os.environ[name] for name in {names} if name in os.environ))"
    )
    told = subprocess.check_output([sys.executable, "-c", code], env=environ, text=True)
    assert tuple(told.split()) == expected
