"""How much of an evaluation fits into a minute, and what is said on the way."""

from __future__ import annotations

import pytest
from sliding_game import Oracle, judge, record

from wmlearn.evaluation import progress
from wmlearn.evaluation.budget import FULL, LEAST, SECONDS, extent, time_step
from wmlearn.evaluation.progress import Progress


@pytest.mark.parametrize("clip_seconds", [0.0, 1e-4, 1e-3, 0.01, 0.05, 0.5])
def test_what_is_judged_fits(clip_seconds):
    found = extent(clip_seconds, (1, 8, 32))
    spent = 2 * found.clips * len(found.seeds) * sum(found.horizons) * clip_seconds
    assert spent <= SECONDS or (found.horizons, found.clips) == ((1,), LEAST)
    assert LEAST <= found.clips <= FULL[0]


def test_a_quick_world_is_judged_in_full_and_a_slow_one_less_far():
    assert extent(1e-4, (1, 8, 32)).seeds == FULL[1]
    assert extent(0.01, (1, 8, 32)).horizons == (1, 8, 32)
    assert extent(0.2, (1, 8, 32)).horizons == (1, 8)


def test_a_step_is_timed_on_held_out_clips(tmp_path):
    store = record(tmp_path)
    assert 0 < time_step(Oracle(), store, [30, 31]) < 1
    assert time_step(Oracle(), store, []) == 0


def test_progress_is_said_now_and_then(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = []
    part = Progress(lines.append, 20)
    for _ in range(20):
        now[0] += 1
        part.tick()
    assert lines == [
        "  25%, about 15 s left", "  50%, about 10 s left", "  75%, about 5 s left"
    ]  # fmt: skip


def test_every_step_of_a_dream_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    lines = []
    judge(Oracle(), record(tmp_path), progress=lines.append)
    shares = [line for line in lines if "left" in line]
    # 1 and 8 steps, two seeds, true and other actions: 4 and 32, the last of each is not said
    assert len(shares) == 3 + 31 and shares[-1].startswith("  97%")
