"""The fuzzer's corpus: no input raises anything unexpected or costs much."""

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "fuzz"))

from targets import TARGETS, corpus


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_raises_nothing_unexpected(name):
    files = corpus(name)
    assert len(files) > 20
    for file_name, data in files.items():
        began = time.process_time()
        TARGETS[name](data)
        assert time.process_time() - began < 5.0, file_name
