"""Arrays as bytes, also in several threads."""

import gc
import sys
import threading
import zipfile

import numpy as np
import pytest

from pika_kit.arrays import packed, unpacked


def test_what_was_packed_comes_back():
    arrays = {
        "ids": np.array(["a", "b"], "S2"),
        "values": np.array([[1.0, np.nan]], np.float32),
        "one": np.array(3),
    }
    back = unpacked(packed(**arrays))
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert np.array_equal(back[name], array, equal_nan=name == "values")


def test_python_objects_and_other_bytes_are_refused():
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        packed(objects=np.array([{}], object))
    with pytest.raises(zipfile.BadZipFile):
        unpacked(b"PK\x03\x04 and no more")


class _Garbage:
    """A cycle whose collection runs Python code, during which threads change places."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        sum(range(200))


@pytest.fixture
def restless():
    """Collect garbage and change threads as often as possible."""
    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(5, 2, 2)
    sys.setswitchinterval(1e-6)
    yield
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval)


def test_threads_may_read_at_the_same_time(restless):
    """Without the lock, Python 3.11.7 raises SystemError a few times in 16,000 reads."""
    data, errors = packed(values=np.ones(3)), []

    def read():
        for _ in range(500):
            _Garbage(), _Garbage()
            try:
                assert unpacked(data)["values"].sum() == 3
            except Exception as error:  # noqa: BLE001
                errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not errors
