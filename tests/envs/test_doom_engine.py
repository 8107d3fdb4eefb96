"""A ViZDoom engine ends with the process that started it, and leaves nothing behind."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import wmlearn.envs as envs

needs_doom = pytest.mark.skipif(
    importlib.util.find_spec("vizdoom") is None, reason="vizdoom is not installed"
)


@needs_doom
def test_engine_dies_with_its_process(tmp_path):
    """Closed, collected, or killed: no engine process and no file stays behind."""
    if not Path("/proc/self/task").exists():
        pytest.skip("the guard needs /proc")
    code = """
import gc, os, sys, time
from pathlib import Path
from wmlearn.envs import make

def children():
    files = Path("/proc/self/task").glob("*/children")
    return {pid for file in files for pid in file.read_text().split()}

closed = make("doom/basic"); closed.close(); closed.close()
dropped = make("doom/basic"); del dropped; gc.collect()
assert not children(), "an engine outlived close() or garbage collection"
env = make("doom/basic"); env.reset(seed=0)
print(*children(), flush=True)
time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(envs.__file__).parents[2]),
            "TMPDIR": str(tmp_path),
        },
    )
    children = [int(pid) for pid in process.stdout.readline().split()]
    assert len(children) == 2  # the engine and its guard
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while any(map(_runs, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_runs, children))
    assert list(tmp_path.iterdir()) == []


@needs_doom
def test_nobody_dies_and_no_time_runs_out_in_the_endless_variant():
    """Idle hands die within 600 steps of the usual game, and its clock stops at 1,050."""
    lasted = {}
    for name in ("doom/defend-the-center-hud", "doom/defend-the-center-hud-endless"):
        env = envs.make(name)
        assert env.env_id == name
        env.reset(seed=0)
        for lasted[name] in range(1, 1101):
            _, _, terminated, truncated, info = env.step(0)
            if terminated or truncated:
                break
        env.close()
    usual, endless = lasted.values()
    assert usual < 600 and endless == 1100 and info["state"][1] == 100


@needs_doom
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="the guard needs /proc")
def test_no_place_for_the_engines_settings_gets_a_sentence(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(OSError, match="name another place in TMPDIR"):
        envs.make("doom/basic")
    assert list(tmp_path.iterdir()) == []


@needs_doom
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="the guard needs /proc")
def test_nothing_stays_behind_whenever_the_process_is_killed(tmp_path):
    code = "from wmlearn.envs import make; import vizdoom; print(flush=True); make('doom/basic')"
    known = {
        **os.environ,
        "PYTHONPATH": str(Path(envs.__file__).parents[2]),
        "TMPDIR": str(tmp_path),
    }
    for delay in np.linspace(0, 0.4, 8):  # an engine takes about as long to start
        process = subprocess.Popen(
            [sys.executable, "-c", f"{code}; import time; time.sleep(60)"],
            stdout=subprocess.PIPE,
            cwd=tmp_path,
            env=known,
        )
        process.stdout.readline()
        time.sleep(delay)
        process.kill()
        process.wait()
        process.stdout.close()

    def left() -> list:
        lines = [(p, _command(p)) for p in Path("/proc").glob("[0-9]*")]
        return [*tmp_path.iterdir(), *(p for p, line in lines if str(tmp_path) in line)]

    deadline = time.monotonic() + 20
    while left() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left() == []


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
