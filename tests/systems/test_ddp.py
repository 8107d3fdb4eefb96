"""Two processes with half a batch each compute the gradients of one with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import two_processes
from safetensors.torch import load_file
from small_runs import IN_A_WORLD, NAMES, small_world, write_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every system trained by two processes, one system after the other."""
    folder = tmp_path_factory.mktemp("ddp")
    small_world(folder / "world")
    for name in NAMES:
        write_data(name, folder / "data" / name)
    command = [sys.executable, two_processes.__file__, str(folder), "2", *NAMES]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=400)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_both_processes_end_with_the_same_weights(folder, name):
    ours, theirs = (load_file(folder / f"{name}-2-{rank}.safetensors") for rank in (0, 1))
    assert ours.keys() == theirs.keys() and any(value.any() for value in ours.values())
    for key, value in ours.items():
        assert value.equal(theirs[key]), key


@pytest.mark.parametrize("name", [name for name in NAMES if name not in IN_A_WORLD])
def test_two_processes_equal_one(folder, name):
    """Not the policies: each process dreams with a random generator of its own."""
    two_processes.train(name, folder, 1)
    one, two = (load_file(folder / f"{name}-{n}-0.safetensors") for n in (1, 2))
    assert one.keys() == two.keys()
    # By each tensor's norm, since Adam moves a weight by the sign of its gradient at first: where
    # that is all but zero, rounding decides, and a single weight may go the other way.
    for key, value in one.items():
        what = key.split(".")[0]
        assert value.any() or what == "moved", f"no gradient reaches {key}"
        error = (value - two[key]).norm()
        tolerance = {"grads": 1e-4, "moved": 1e-3}[what]
        assert error <= tolerance * value.norm(), f"{key} differ by {error}"
