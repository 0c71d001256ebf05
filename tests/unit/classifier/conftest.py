"""Fixtures of the classifier's unit tests: a store in memory, and one with a trained model."""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parent))

import pytest
from classifier_samples import context, drawn, put_images

from pika_kit.testing import MemoryStore


@pytest.fixture
def memory_store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """(store, result of the training job, ids by kind): pictures, labels and a published v1."""
    from pika_classifier.jobs import train
    from pika_classifier.labels.log import Label, LabelSet

    store = MemoryStore()
    ids = {
        "pikachu": put_images(store, drawn(20, is_yellow=True, seed=1)),
        "others": put_images(store, drawn(20, is_yellow=False, seed=2)),
    }
    labels = [
        Label(picture_id, label, "trains" if number < 10 else "valids")
        for label in ids
        for number, picture_id in enumerate(ids[label][:14])
    ]
    LabelSet(store).add(labels, "a test")
    result = train(context(store, tmp_path_factory.mktemp("state"), "first"), preset="tiny")
    return store, result, ids
