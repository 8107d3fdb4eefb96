"""Freed memory is kept for the next step (only glibc gives it back in between)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from wmlearn.fast.memory import keep_freed_memory

SCRIPT = """
import ctypes, resource, sys, torch
from wmlearn.fast.memory import M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
from wmlearn.fast.memory import keep_freed_memory

torch.set_num_threads(1)
# glibc's first settings, which it loosens after a while, or not: that depends on the past.
# Blocks above 128 kB are the system's own, asked for and given back one by one.
ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**17)
ctypes.CDLL(None).mallopt(M_TRIM_THRESHOLD, 2**17)
if sys.argv[1] == "keep":
    assert keep_freed_memory()

def step():  # 40 MB in blocks of 4 MB, all freed at once
    blocks = [torch.ones(1024, 1024) for _ in range(10)]

for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not keep_freed_memory(), reason="needs glibc")
def test_memory_is_asked_for_once():
    env = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    faults = {}
    for mode in ("keep", "give back"):
        command = [sys.executable, "-c", SCRIPT, mode]
        out = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        faults[mode] = int(out.stdout)
    assert faults["keep"] < 100 < faults["give back"]


def test_other_systems_are_left_alone(monkeypatch):
    def no_library(name):
        raise TypeError("Windows")

    monkeypatch.setattr("ctypes.CDLL", no_library)
    assert keep_freed_memory.__wrapped__() is False
