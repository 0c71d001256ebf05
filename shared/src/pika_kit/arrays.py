"""NumPy arrays as the bytes of an .npz file."""

import io
import threading

import numpy as np

# NumPy reads each array's header with `ast.literal_eval`. Before Python 3.11.8 two threads that do so at once
# may get "SystemError: AST constructor recursion depth mismatch" (https://github.com/python/cpython/issues/106905).
_one_at_a_time = threading.Lock()


def packed(**arrays: np.ndarray) -> bytes:
    """Return an uncompressed .npz file with these arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpacked(data: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file by name; threads may call this at the same time.

    Raises:
        ValueError, zipfile.BadZipFile: `data` is no such file, or holds Python objects.
    """
    with _one_at_a_time, np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
