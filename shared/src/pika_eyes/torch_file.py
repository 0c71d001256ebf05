"""Read the tensors of a PyTorch file without PyTorch.

Both layouts of `torch.save` contain a pickle. The unpickler here knows three names (an ordered dictionary, a
storage, a tensor built on one) and rejects everything else, so that no file can execute code. This module
reads the legacy layout: a sequence of pickles followed by the raw storages.
"""

import collections
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class NotATensorFile(ValueError):
    """The file has another layout, or contains more than tensors."""


class _Storage:
    """A flat array of numbers; its values follow after all pickles."""

    def __init__(self, dtype: np.dtype, size: int) -> None:
        self.dtype, self.size = dtype, size
        self.values = np.zeros(0, dtype)


class _LazyTensor:
    def __init__(
        self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> None:
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> np.ndarray:
        """Return the tensor's values as a new array; strides that leave the storage are rejected."""
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if min((self.offset, *self.strides, *self.shape)) < 0 or last >= self.storage.size:
            raise NotATensorFile(f"a tensor of shape {self.shape} reaches outside its storage")
        item = self.storage.dtype.itemsize
        view = np.lib.stride_tricks.as_strided(
            self.storage.values[self.offset :], self.shape, [s * item for s in self.strides], writeable=False
        )
        return view.copy()


def _rebuild_tensor(storage: Any, offset: int, shape: Any, strides: Any, *_rest: Any) -> _LazyTensor:
    if not isinstance(storage, _Storage):
        raise NotATensorFile(f"expected a storage, received {type(storage).__name__}")
    return _LazyTensor(storage, int(offset), tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Resolve the three names that a file of tensors needs."""
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise NotATensorFile(f"expected tensors only, received {module}.{name}")

    def persistent_load(self, reference: Any) -> _Storage:
        """Resolve ("storage", dtype, key, device, number of values, view) to the storage with that key."""
        kind, dtype, key, _device, size, view = reference
        if kind != "storage" or view is not None:
            raise NotATensorFile(f"expected a whole storage, received {kind!r}")
        return self.storages.setdefault(key, _Storage(dtype, int(size)))


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Read all tensors of a state dictionary, by name.

    Raises:
        NotATensorFile: the file has another layout, or contains anything besides tensors.
    """
    with path.open("rb") as file:
        if _Unpickler(file).load() != _MAGIC or _Unpickler(file).load() != _PROTOCOL:
            raise NotATensorFile(f"expected a PyTorch file of protocol {_PROTOCOL}")
        if not _Unpickler(file).load().get("little_endian"):
            raise NotATensorFile("expected little-endian numbers")
        unpickler = _Unpickler(file)
        tensors = unpickler.load()
        for key in _Unpickler(file).load():
            _read_values(file, unpickler.storages[key])
    return {name: tensor.array() for name, tensor in tensors.items()}


def _read_values(file: BinaryIO, storage: _Storage) -> None:
    size = int.from_bytes(file.read(8), "little")
    if size != storage.size:
        raise NotATensorFile(f"expected a storage of {storage.size} values, received {size}")
    data = file.read(size * storage.dtype.itemsize)
    storage.values = np.frombuffer(data, storage.dtype)
    if storage.values.size != size:
        raise NotATensorFile("the file ends before its last storage")
