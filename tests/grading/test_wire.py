"""Frames: plain values come back as they were, and nothing else ever comes out of a pipe."""

from __future__ import annotations

import io
import json
import math
import random
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from wmlearn.grading import seccomp
from wmlearn.grading.wire import (
    LENGTHS,
    MOST_BODY,
    MOST_HEADER,
    Foreign,
    Garbled,
    Writer,
    read_bytes,
    read_frame,
)
from wmlearn.teach.crossing import Leaf, Net, Slot, plain, same

PLAIN = (type(None), bool, int, float, str, range, Slot, Foreign, torch.Generator)


def through(value: object, **options: object) -> object:
    parts = read_bytes(io.BytesIO(Writer().frame("done", value=value)))
    return read_frame(*parts, **options)["value"]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(10**40),
        0.1 + 0.2,
        math.inf,
        "half \ud800 of a pair, \0",
        [1, (2.5, [None, {"a": (), 3: "b"}])],
        Slot(3),
        range(0, 10, 3),
        torch.randn(2, 3),
        torch.randn(4, dtype=torch.float64)[::2],
        torch.tensor([1.5, -2], dtype=torch.bfloat16),
        torch.tensor([[True, False]]),
        torch.zeros(0, 5, dtype=torch.int64),
        torch.tensor(3, dtype=torch.uint8),
        torch.randn(2, dtype=torch.complex64),
    ],
    ids=lambda value: type(value).__name__,  # equal in every process, whatever was drawn
)
def test_plain_values_come_back(value):
    got = through(value)
    assert type(got) is type(value)
    assert torch.equal(got, value) if isinstance(value, Tensor) else same(got, value)


def test_whether_a_gradient_can_flow_comes_along():
    x = plain(torch.ones(2, requires_grad=True) * 2)
    assert through(x).tracked is True and through(torch.ones(2)).tracked is False


def test_a_generator_comes_as_its_state():
    draw = torch.Generator().manual_seed(3)
    torch.rand(5, generator=draw)
    assert torch.equal(torch.rand(3, generator=through(draw)), torch.rand(3, generator=draw))


class Odd(str):
    __eq__ = lambda *args: True  # noqa: E731
    __hash__ = str.__hash__


def test_subclasses_arrive_as_what_they_are_made_of():
    assert type(through(Odd("x"))) is str and type(through(plain(np.float32(2)))) is Tensor
    parameter = torch.nn.Parameter(torch.ones(2))
    assert type(through(parameter)) is Tensor


@pytest.mark.parametrize(
    "value",
    [object(), print, {1, 2}, b"x", 10**400, torch.ones(2).to_sparse(), range(10**9)],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain_has_a_stand_in_that_is_named_like_it_or_not_at_all(value):
    got = through([value])[0]
    assert isinstance(got, Foreign)
    assert type(through([value], types=False)[0]).__name__ == "object"


def test_names_of_stand_ins_are_short_identifiers():
    made = type("x" * 5000, (), {})()
    assert type(through(made)).__name__ == "object"
    assert type(through(type("a b", (), {})())).__name__ == "object"


def test_functions_get_numbers_from_the_judge_only():
    functions = []

    def number(function) -> int:
        functions.append(function)
        return len(functions) - 1

    frame = Writer(number).frame("call", arguments=(max, Leaf(torch.ones(1)), Net({}, min)))
    parts = read_bytes(io.BytesIO(frame))
    got = read_frame(*parts, function=lambda i: functions[i])["arguments"]
    assert got[0] is max and isinstance(got[1], Leaf) and got[2].forward is min
    with pytest.raises(Garbled):
        read_frame(*parts)  # as the judge reads: a student's process has no functions for it
    assert isinstance(through(max), Foreign)


# What a hostile process writes


def header(tree: object, tensors: object = ()) -> bytes:
    return json.dumps({"tree": tree, "tensors": tensors}).encode()


def done(value: object) -> dict:
    return {"op": "done", "value": value}


BAD = {
    "no JSON": (b"\xff", b""),
    "brackets": (b"[" * 100_000, b""),
    "no tree": (b"{}", b""),
    "a list": (b"[1]", b""),
    "no operation": (header({"value": 1}), b""),
    "an unknown kind": (header(done({"z": 1})), b""),
    "two kinds": (header(done({"l": [], "t": []})), b""),
    "a pickle": (b"\x80\x04.", b""),
    "no such tensor": (header(done({"n": 0})), b""),
    "a tensor before the first": (header(done({"n": -1}), [["bool", [1], False]]), b"\1"),
    "a huge shape": (header(done(0), [["float64", [2**31 - 1] * 4, False]]), b""),
    "a huge empty shape": (header(done(0), [["float64", [0, *[2**31 - 1] * 4], False]]), b""),
    "a negative side": (header(done(0), [["float64", [-1], False]]), b""),
    "sides that are no numbers": (header(done(0), [["float64", [True, "2"], False]]), b""),
    "more bytes than told": (header(done(0), [["uint8", [1], False]]), b"12"),
    "fewer bytes than told": (header(done(0), [["int64", [2], False]]), b"12345678"),
    "an unknown dtype": (header(done(0), [["qint8", [1], False]]), b"1"),
    "a bad state of a generator": (header(done({"g": {"n": 0}}), [["uint8", [3], False]]), b"123"),
    "a range without end": (header(done({"r": [0, 2**61, 1]})), b""),
    "a list as a key": (header(done({"d": [[{"l": []}, 1]]})), b""),
    "a long number": (header(done(0)).replace(b": 0", b": 1" + b"0" * 5000), b""),
    "very deep": (header(done(json.loads('{"l": [' * 60 + "0" + "]}" * 60))), b""),
    "very many": (header(done({"l": [0] * 300_000})), b""),
    "a function": (header(done({"f": 0})), b""),
}  # fmt: skip


@pytest.mark.parametrize("parts", BAD.values(), ids=BAD)
def test_a_frame_that_no_writer_makes_is_garbled(parts):
    with pytest.raises(Garbled):
        read_frame(*parts)


def test_a_byte_that_is_neither_true_nor_false_is_true():
    got = read_frame(header(done({"n": 0}), [["bool", [3], False]]), b"\2\0\xff")["value"]
    assert got.tolist() == [True, False, True]


@pytest.mark.parametrize(
    "start", [(MOST_HEADER + 1, 0), (10, MOST_BODY + 1), (2**32 - 1, 2**32 - 1), (10, 0)]
)
def test_lengths_are_believed_up_to_a_limit(start):
    with pytest.raises(Garbled):
        read_bytes(io.BytesIO(LENGTHS.pack(*start) + b"12345"))


def is_plain(x: object) -> bool:
    if isinstance(x, list | tuple) and not isinstance(x, Slot):
        return all(map(is_plain, x))
    if isinstance(x, dict):
        return all(map(is_plain, [*x, *x.values()]))
    return type(x) is Tensor or isinstance(x, PLAIN)


def test_2000_mutated_frames_are_garbled_or_plain():
    draw = random.Random(0)
    value = {"a": [1, 2.5, (torch.ones(3), "x", None)], "b": torch.zeros(2, dtype=torch.bool)}
    original = Writer().frame("done", value=value, arguments=[Slot(1), range(3)])
    plain_ones = 0
    for _ in range(2000):
        data = bytearray(original)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(data))
            if draw.random() < 0.7:
                data[at] = draw.choice(b'0123456789[]{}",:sltdnrgo\x00\xff')
            else:
                del data[at : at + draw.randint(1, 9)]
        try:
            got = read_frame(*read_bytes(io.BytesIO(bytes(data))))
        except Garbled:
            continue
        assert is_plain(got)
        plain_ones += 1
    assert 20 < plain_ones < 1900


# The filter of system calls


def run_filter(program: bytes, architecture: int, number: int, flags: int = 0) -> int:
    """What the kernel does with it, in a few lines."""
    import struct

    record = struct.pack("<IIQQ", number, architecture, 0, flags)
    steps, at, value = list(struct.iter_unpack("<HBBI", program)), 0, 0
    while True:
        code, yes, no, k = steps[at]
        if code == 0x20:
            value = int.from_bytes(record[k : k + 4], "little")
        elif code == 0x06:
            return k
        else:
            hit = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[code]
            at += yes if hit else no
        at += 1


@pytest.mark.parametrize(
    ("machine", "architecture", "read", "clone", "memfd"),
    [("x86_64", 0xC000003E, 0, 56, 319), ("aarch64", 0xC00000B7, 63, 220, 279)],
)
def test_the_filter_lets_work_through_and_refuses_memory_and_boxes(
    machine, architecture, read, clone, memfd
):
    program = seccomp.program(machine)
    allow, refuse, unknown = 0x7FFF0000, 0x00050001, 0x00050026
    assert run_filter(program, architecture, read) == allow
    assert run_filter(program, architecture, clone, 0x00010F00) == allow  # a thread
    assert run_filter(program, architecture, clone, 0x10000011) == refuse  # a user namespace
    assert run_filter(program, architecture, memfd) == refuse
    assert run_filter(program, architecture, 435) == unknown
    assert run_filter(program, architecture, 0x40000000 + read) == unknown
    assert run_filter(program, 0x40000003, read) == unknown  # 32 bit
    assert seccomp.program("riscv64") == b""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_memory_of_a_file_in_memory_counts():
    import os

    from wmlearn.grading.sandbox import memory_of, seconds_of

    before = memory_of([os.getpid()])
    held = os.memfd_create("test")
    try:
        os.write(held, bytes(50 * 2**20))
        assert 49 < memory_of([os.getpid()]) - before < 70
    finally:
        os.close(held)
    assert seconds_of([os.getpid()]) > 0
