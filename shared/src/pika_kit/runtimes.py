"""How a front end runs a model: one small interface with ONNX Runtime (here) or TensorFlow behind it.

TensorFlow is imported only if `PIKA_MODEL_RUNTIME=tensorflow` asks for it.
"""

from pathlib import Path
from typing import Protocol

import numpy as np


class Runtime(Protocol):
    """A loaded model. `run` is thread-safe."""

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute outputs by name from inputs by name; the first axis is the batch, numbers are for all."""
        ...


def files_of(kind: str) -> str:
    """Return the prefix of the files that a runtime of this kind reads."""
    return {"onnx": "model.onnx", "tensorflow": "saved_model/"}[kind]


def load_runtime(kind: str, folder: Path, gpu_memory_mb: int | None = None) -> Runtime:
    """Load the model in `folder` with the runtime that `Settings.model_runtime` names.

    Args:
        folder: what `Registry.fetch` downloaded.
        gpu_memory_mb: limit of the GPU memory that TensorFlow may use; None for no limit.
    """
    if kind == "tensorflow":
        from pika_kit.tensorflow_runtime import TensorflowRuntime

        return TensorflowRuntime(folder, gpu_memory_mb)
    return OnnxRuntime(folder / "model.onnx")


class OnnxRuntime:
    """A model in ONNX Runtime on the CPU: starts in 0.3 s, without TensorFlow."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One thread per call: requests run side by side instead, and sums are computed in a fixed order.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # The arena keeps the memory of the largest batch, which is one row; without it each run would request
        # and clear its tensors' memory anew, which takes a third of the time.
        options.enable_cpu_mem_arena = True
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See Runtime. One row at a time: on a CPU larger batches only take more memory.

        Raises:
            ValueError: the inputs have different numbers of rows.
        """
        counts = {name: len(values) for name, values in inputs.items() if np.ndim(values)}
        num = next(iter(counts.values()), 1)
        if set(counts.values()) > {num}:
            raise ValueError(f"expected as many rows in each input, received {counts}")
        if num <= 1:
            return self._run(inputs)
        rows = [
            self._run(
                {name: inputs[name][row : row + 1] if name in counts else inputs[name] for name in inputs}
            )
            for row in range(num)
        ]
        return {name: np.concatenate([row[name] for row in rows]) for name in self._outputs}

    def _run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        values = self._session.run(self._outputs, inputs)
        return dict(zip(self._outputs, values, strict=True))
