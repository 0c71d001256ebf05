"""How a front end runs a model: one small interface, behind which stand ONNX Runtime (here) and TensorFlow.

TensorFlow is imported only where `PIKA_MODEL_RUNTIME=tensorflow` asks for it.
"""

from pathlib import Path
from typing import Protocol

import numpy as np


class Runtime(Protocol):
    """A loaded model. `run` may be called by several threads at once."""

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name for inputs by name; the first axis of all of them is the batch."""
        ...


def files_of(kind: str) -> str:
    """How the names of the files begin that a runtime of this kind reads."""
    return {"onnx": "model.onnx", "tensorflow": "saved_model/"}[kind]


def load_runtime(kind: str, folder: Path, gpu_memory_mb: int | None = None) -> Runtime:
    """The model in `folder`, in a runtime of the kind that `Settings.model_runtime` names.

    Args:
        gpu_memory_mb: the share of a GPU's memory that TensorFlow may take; None: as it needs.
    """
    if kind == "tensorflow":
        from pika_kit.tensorflow_runtime import TensorflowRuntime

        return TensorflowRuntime(folder, gpu_memory_mb)
    return OnnxRuntime(folder / "model.onnx")


class OnnxRuntime:
    """A model in ONNX Runtime on the CPU: 0.3 s to start, no TensorFlow."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One thread a call: requests run side by side instead, and the sums are made in one order.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # The arena keeps the largest batch's memory for ever; a front end has better uses for it.
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See Runtime."""
        values = self._session.run(self._outputs, inputs)
        return dict(zip(self._outputs, values, strict=True))
