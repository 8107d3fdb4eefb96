"""Plain data as bytes: what may cross the pipe between the judge and a student's process.

A frame is two lengths, a JSON header and a body of raw numbers. The header holds a tree of values;
tensors are numbered, and their dtype, shape and whether a gradient can flow through them stand
beside the tree. Nothing is unpickled, no name is looked up, no class is made: whatever a hostile
process writes, reading it gives plain values or a :class:`Garbled`, in time and memory bounded by
the limits below.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import torch
from torch import Tensor

from wmlearn.teach.crossing import Leaf, Net, Slot

LENGTHS = struct.Struct(">II")
MOST_HEADER = 2**22  # bytes
MOST_BODY = 2**26
MOST_VALUES = 200_000
DEEPEST = 40
_MOST_DIGITS = 300  # of a whole number
_MOST_RANGE = 10**6
_TYPES = {
    str(kind).removeprefix("torch."): kind
    for kind in (
        torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64,
        torch.complex128, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
        torch.bool,
    )
}  # fmt: skip
_NAMES = {kind: name for name, kind in _TYPES.items()}


class Garbled(Exception):
    """What came is no frame, or too large a one."""


class Foreign:
    """Stands for a value that is not plain. Its class has the name of the value's own."""


def foreign(name: object) -> Foreign:
    """A stand-in whose type has this name, if that can be one."""
    fits = isinstance(name, str) and name.isidentifier() and len(name) <= 40
    return type(name if fits else "object", (Foreign,), {})()


# Writing


class Writer:
    """Makes a frame. ``function`` gives a number to a function that is to be called back."""

    def __init__(self, function: Callable[[Callable], int] | None = None) -> None:
        self._function = function
        self._tensors: list[Tensor] = []

    def frame(self, op: str, **content: Any) -> bytes:
        """A frame of an operation and its values."""
        tree = {"op": op, **{key: self.tree(value) for key, value in content.items()}}
        table, body = [], bytearray()
        for x in self._tensors:
            flat = x.detach().cpu().contiguous()
            table.append([_NAMES[x.dtype], list(x.shape), bool(getattr(x, "tracked", False))])
            body += flat.flatten().view(torch.uint8).numpy().tobytes() if flat.numel() else b""
        header = json.dumps({"tree": tree, "tensors": table}).encode()
        return LENGTHS.pack(len(header), len(body)) + header + body

    def tree(self, x: Any) -> Any:
        if x is None or isinstance(x, bool):
            return x
        if isinstance(x, Tensor):
            return self._tensor(x)
        if isinstance(x, str):
            return str.__str__(x)
        if isinstance(x, int):
            return int(x) if abs(int(x)) < 10**_MOST_DIGITS else {"o": "int"}
        if isinstance(x, float):
            return float(x)
        if isinstance(x, Slot):
            return {"s": x.number}
        if isinstance(x, Leaf):
            return {"leaf": self.tree(x.value)}
        if isinstance(x, Net):
            return {"net": [self.tree(dict(x.parameters)), self._called_back(x.forward)]}
        if isinstance(x, torch.Generator):
            return {"g": self._tensor(x.get_state())}
        if isinstance(x, list):
            return {"l": [self.tree(item) for item in x]}
        if isinstance(x, tuple):
            return {"t": [self.tree(item) for item in x]}
        if isinstance(x, dict):
            return {"d": [[self.tree(k), self.tree(v)] for k, v in x.items()]}
        if isinstance(x, range) and len(x) <= _MOST_RANGE:
            return {"r": [x.start, x.stop, x.step]}
        if callable(x) and self._function:
            return self._called_back(x)
        return {"o": type(x).__name__}

    def _tensor(self, x: Tensor) -> Any:
        dense = x.layout == torch.strided and x.device.type != "meta" and x.dtype in _NAMES
        if not dense or x.numel() * x.element_size() > MOST_BODY:
            return {"o": "Tensor"}
        self._tensors.append(x)
        return {"n": len(self._tensors) - 1}

    def _called_back(self, function: Callable) -> dict:
        if self._function is None:
            return {"o": "function"}
        return {"f": self._function(function)}


# Reading


def read_bytes(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next frame's header and body; None at the end.

    Raises:
        Garbled: if it is too large, or cut.
    """
    start = stream.read(LENGTHS.size)
    if not start:
        return None
    if len(start) < LENGTHS.size:
        raise Garbled
    header, body = LENGTHS.unpack(start)
    if header > MOST_HEADER or body > MOST_BODY:
        raise Garbled
    parts = stream.read(header), stream.read(body)
    if (len(parts[0]), len(parts[1])) != (header, body):
        raise Garbled
    return parts


def read_frame(
    header: bytes, body: bytes, function: Callable[[int], Any] | None = None, types: bool = True
) -> dict[str, Any]:
    """The values of a frame by name, ``op`` among them.

    Args:
        header: its bytes.
        body: its bytes.
        function: makes something to call of a function's number; without it, a number is garbled.
        types: whether a value that is not plain keeps the name of its type.

    Raises:
        Garbled: if it is no frame as a ``Writer`` makes them.
    """
    try:
        content = json.loads(header)
        tree, table = content["tree"], content["tensors"]
        if not isinstance(tree, dict) or not isinstance(tree["op"], str):
            raise Garbled
        reader = _Reader(_tensors(table, body), function, types)
        return {"op": tree.pop("op"), **{str(k): reader.value(v, 0) for k, v in tree.items()}}
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError,
            RuntimeError, MemoryError, AttributeError):  # fmt: skip
        raise Garbled from None


def _tensors(table: list, body: bytes) -> list[Tensor]:
    made, at = [], 0
    if len(table) > MOST_VALUES:
        raise Garbled
    for name, shape, tracked in table:
        kind = _TYPES[name]
        if len(shape) > 16 or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
            raise Garbled
        if math.prod(max(n, 1) for n in shape) > 2**40:  # also where another side is 0
            raise Garbled
        size = math.prod(shape) * kind.itemsize
        if size > len(body) - at:
            raise Garbled
        made.append(_numbers(body[at : at + size], kind, shape))
        made[-1].tracked = tracked is True
        at += size
    if at != len(body):
        raise Garbled
    return made


def _numbers(raw: bytes, kind: torch.dtype, shape: list[int]) -> Tensor:
    if not raw:
        return torch.empty(shape, dtype=kind)
    bytes_ = torch.frombuffer(bytearray(raw), dtype=torch.uint8)
    if kind == torch.bool:  # a byte of 2 would be neither true nor false
        return (bytes_ != 0).reshape(shape)
    return bytes_.view(kind).reshape(shape)


class _Reader:
    def __init__(self, tensors: list[Tensor], function: Callable | None, types: bool) -> None:
        self.tensors, self.function, self.types = tensors, function, types
        self.count = 0

    def value(self, x: Any, depth: int) -> Any:
        self.count += 1
        if depth > DEEPEST or self.count > MOST_VALUES:
            raise Garbled
        if x is None or isinstance(x, bool | str | float):
            return x
        if isinstance(x, int):
            if abs(x) >= 10**_MOST_DIGITS:
                raise Garbled
            return x
        [(kind, inside)] = x.items()
        if kind == "n":
            return self.tensors[_index(inside)]
        if kind == "l":
            return [self.value(item, depth + 1) for item in inside]
        if kind == "t":
            return tuple(self.value(item, depth + 1) for item in inside)
        if kind == "d":
            pairs = [(self.value(k, depth + 1), self.value(v, depth + 1)) for k, v in inside]
            return dict(pairs)
        return self.rarer(kind, inside, depth)

    def rarer(self, kind: str, inside: Any, depth: int) -> Any:
        if kind == "s":
            return Slot(_index(inside))
        if kind == "r":
            made = range(*(_whole(n) for n in inside))
            if len(made) > _MOST_RANGE:
                raise Garbled
            return made
        if kind == "g":
            state = self.tensors[_index(inside["n"])]
            return torch.Generator().set_state(state)
        if kind == "o":
            return foreign(inside if self.types else None)
        if self.function is None:
            raise Garbled
        if kind == "f":
            return self.function(_index(inside))
        if kind == "leaf":
            return Leaf(self.value(inside, depth + 1))
        if kind == "net":
            parameters, forward = inside
            return Net(self.value(parameters, depth + 1), self.function(_index(forward["f"])))
        raise Garbled


def _index(x: Any) -> int:
    if type(x) is not int or x < 0:
        raise Garbled
    return x


def _whole(x: Any) -> int:
    if type(x) is not int or abs(x) > 2**62:
        raise Garbled
    return x
