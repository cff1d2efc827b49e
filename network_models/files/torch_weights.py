"""Read the tensors of a PyTorch state dictionary without PyTorch and without running its pickle.

A pickle is a program. Here only the few instructions that build tuples, dictionaries and numbers
are carried out, and the only names that it may call are the three that make a tensor of stored
numbers; each stands for a function of this file. Everything else is refused.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["read_state_dictionary"]

_LARGEST_MIB = 256  # DeepEM's weights are 0.4 MiB
_LARGEST_PROGRAM = 1 << 20
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first number of files from before PyTorch 1.6
_LEGACY_PROTOCOL = 1001

_DICTIONARY, _TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
_STORAGES = {
    "torch HalfStorage": "<f2",
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch LongStorage": "<i8",
}
_WHOLE_NUMBERS = "<i8"
_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE")
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_MARK = object()


class _Refused(ValueError):
    """The file asks for something that no state dictionary needs."""


@dataclass(frozen=True)
class _Name:
    """A name that the file may call."""

    text: str


@dataclass(frozen=True)
class _Storage:
    """A run of stored numbers."""

    key: str
    dtype: str
    n: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass
class _Dictionary:
    """A dictionary that is being filled; attributes put on it are dropped."""

    items: dict = field(default_factory=dict)


def read_state_dictionary(
    path: str | Path, *, with_counters: bool = False, largest_mib: int = _LARGEST_MIB
) -> dict[str, np.ndarray]:
    """Read a file of ``torch.save(model.state_dict(), path)``, in the zip or the older format.

    Parameters
    ----------
    path : str or Path
    with_counters : bool
        Also read tensors of whole numbers, as norms count their batches in.
    largest_mib : int
        A larger file is not read.

    Returns
    -------
    dict of arrays
        By their names, in the file's order.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no state dictionary, is damaged, or asks for anything but tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if path.stat().st_size > largest_mib << 20:
        raise ValueError(f"{path.name} is larger than {largest_mib} MiB: not read")
    try:
        if zipfile.is_zipfile(path):
            found, storages = _read_zip(path, largest_mib << 20)
        else:
            found, storages = _read_legacy(path.read_bytes())
        tensors = _tensors(found)
        if not with_counters and _WHOLE_NUMBERS in {t.storage.dtype for t in tensors.values()}:
            raise _Refused("it holds torch.LongStorage, whole numbers, which are no weights")
        return {name: _array(tensor, storages) for name, tensor in tensors.items()}
    except _Refused as error:
        raise ValueError(
            f"{path.name} is no plain state dictionary and is not read: {error}. Save it with "
            "torch.save(model.state_dict(), FILE)"
        ) from None
    except (
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        struct.error,
        zipfile.BadZipFile,
        EOFError,
        OSError,
        NotImplementedError,  # zipfile's word for a compression that it doesn't know
        RuntimeError,
        OverflowError,
        MemoryError,
        zlib.error,
    ) as error:
        raise ValueError(
            f"{path.name}: damaged, or no PyTorch state dictionary ({error}); expected a file of "
            "torch.save(model.state_dict(), FILE)"
        ) from error


def _read_zip(path: Path, largest: int) -> tuple[object, dict[str, bytes]]:
    """Read the format of PyTorch 1.6 and later: FOLDER/data.pkl beside FOLDER/data/KEY."""
    with zipfile.ZipFile(path) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        programs = [name for name in sizes if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(programs) != 1:
            raise _Refused("it holds no FOLDER/data.pkl")
        if sum(sizes.values()) > largest or sizes[programs[0]] > _LARGEST_PROGRAM:
            raise _Refused("unpacked it is too large for weights")
        folder = programs[0].removesuffix("data.pkl")
        order = folder + "byteorder"
        if order in sizes and archive.read(order).strip() != b"little":
            raise _Refused("its numbers are big-endian")
        found = _carry_out(io.BytesIO(archive.read(programs[0])))
        keys = {tensor.storage.key for tensor in _tensors(found).values()}
        return found, {key: archive.read(f"{folder}data/{key}") for key in keys}


def _read_legacy(data: bytes) -> tuple[object, dict[str, bytes]]:
    """Read the format before 1.6: five pickles, then each storage with its length before it."""
    stream = io.BytesIO(data)
    if _carry_out(stream) != _LEGACY_MAGIC or _carry_out(stream) != _LEGACY_PROTOCOL:
        raise _Refused("it does not begin as PyTorch's files do")
    system = _carry_out(stream)
    if not isinstance(system, _Dictionary) or system.items.get("little_endian") is not True:
        raise _Refused("its numbers are not little-endian")
    found, keys = _carry_out(stream), _carry_out(stream)
    widths = {t.storage.key: np.dtype(t.storage.dtype).itemsize for t in _tensors(found).values()}
    storages = {}
    for key in keys:
        (n,) = struct.unpack("<q", stream.read(8))
        if key not in widths or not 0 <= n <= len(data):
            raise _Refused(f"its storage {key!r} belongs to no tensor")
        storages[key] = stream.read(n * widths[key])
    return found, storages


def _tensors(found: object) -> dict[str, _Tensor]:
    """Return the tensors of what a file holds, if it holds nothing else."""
    items = found.items if isinstance(found, _Dictionary) else None
    if items is None or not all(
        isinstance(name, str) and isinstance(value, _Tensor) for name, value in items.items()
    ):
        raise _Refused("it holds something else than named tensors")
    return items


def _array(tensor: _Tensor, storages: dict[str, bytes]) -> np.ndarray:
    """Return a tensor's numbers, checked to lie within its storage."""
    values = np.frombuffer(storages[tensor.storage.key], tensor.storage.dtype)
    shape, stride = tensor.shape, tensor.stride
    if len(shape) != len(stride) or min((*shape, *stride, tensor.offset, 0)) < 0:
        raise _Refused(f"a tensor of shape {shape} with strides {stride}")
    last = tensor.offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    # strides of 0 could make terabytes of one number
    if 0 in shape or last >= len(values) or math.prod(shape) > len(values):
        raise _Refused(f"a tensor of shape {shape} reaches beyond its {len(values)} numbers")
    size = values.itemsize
    view = np.lib.stride_tricks.as_strided(
        values[tensor.offset :], shape, tuple(size * step for step in stride)
    )
    return np.ascontiguousarray(view).reshape(shape)  # Slic's 594 MiB are not copied


def _carry_out(stream: io.BytesIO) -> Any:
    """Carry out one pickle's instructions, up to its STOP; refuse all but the allowed ones."""
    stack: list = []
    memory: dict[int, object] = {}
    argument: Any
    for instruction, argument, _ in pickletools.genops(stream):
        name = instruction.name
        if name == "STOP":
            return stack.pop()
        if name in ("PROTO", "FRAME"):
            continue
        if name in _NUMBERS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("EMPTY_TUPLE", "EMPTY_LIST"):
            stack.append(() if name == "EMPTY_TUPLE" else [])
        elif name == "EMPTY_DICT":
            stack.append(_Dictionary())
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            n = int(name[-1])
            stack[-n:] = [tuple(stack[-n:])]
        elif name == "TUPLE":
            stack.append(tuple(_to_mark(stack)))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memory[argument] = stack[-1]
        elif name == "MEMOIZE":
            memory[len(memory)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memory[argument])
        elif name in ("APPEND", "APPENDS"):
            values = [stack.pop()] if name == "APPEND" else _to_mark(stack)
            stack[-1].extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = [stack.pop(-2), stack.pop()] if name == "SETITEM" else _to_mark(stack)
            stack[-1].items.update(zip(values[::2], values[1::2], strict=True))
        elif name == "GLOBAL":
            stack.append(_name(argument))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(_call(stack.pop(), arguments))
        elif name == "BUILD":
            stack.pop()  # a state dictionary's notes on versions
            if not isinstance(stack[-1], _Dictionary):
                raise _Refused("it sets the state of something that is no dictionary")
        elif name == "BINPERSID":
            stack.append(_stored(stack.pop()))
        else:
            raise _Refused(f"its pickle holds the instruction {name}")
    raise EOFError("the pickle has no end")


def _to_mark(stack: list) -> list:
    """Take everything above the last mark off the stack."""
    values = []
    while (value := stack.pop()) is not _MARK:
        values.append(value)
    return values[::-1]


def _name(text: str) -> _Name:
    """Return a name that may be called; no module is looked up."""
    if text not in (_DICTIONARY, _TENSOR) and text not in _STORAGES:
        raise _Refused(f"it asks for {text.replace(' ', '.')}, which could run a stranger's code")
    return _Name(text)


def _call(function: object, arguments: Any) -> object:
    """Stand in for the two functions that a state dictionary calls."""
    if function == _Name(_DICTIONARY) and arguments == ():
        return _Dictionary()
    if function == _Name(_TENSOR):
        storage, offset, shape, stride = arguments[:4]
        integers = (offset, *shape, *stride)
        if isinstance(storage, _Storage) and all(type(n) is int for n in integers):
            return _Tensor(storage, offset, tuple(shape), tuple(stride))
    raise _Refused("it calls something else than the making of a tensor or dictionary")


def _stored(reference: Any) -> _Storage:
    """Read ``("storage", kind, key, device, number)``."""
    kind, storage, key, _, n = reference[:5]
    if kind != "storage" or not isinstance(storage, _Name) or storage.text not in _STORAGES:
        raise _Refused("it refers to something else than stored numbers")
    if not isinstance(key, str) or not key.isalnum() or type(n) is not int:
        raise _Refused("a storage has no proper key")
    return _Storage(key, _STORAGES[storage.text], n)
