"""What a run says of its minutes, before and after."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from wmlearn.recipes.run import RunConfig
from wmlearn.train import pace
from wmlearn.train.pace import Pace, outlook, summary

RUN = RunConfig(max_steps=1000, max_minutes=5)


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (1000, ""),
        (4000, ""),
        (41, "about 41 of 1,000 steps in 5 minutes, which will not be enough"),
    ],
)
def test_the_outlook_warns_only_where_minutes_are_short(expected, words):
    line = outlook(expected, RUN)
    assert line.startswith(f"This machine will make {words}") if words else line == ""
    assert "nearly enough" in outlook(900, RUN)


def test_steps_are_timed_without_the_first(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: clock[0])
    monkeypatch.delenv("CI", raising=False)
    callback, trainer = Pace(RUN), SimpleNamespace(global_step=100, is_global_zero=True)
    callback.on_train_start(trainer, None)
    for seconds in (40.0, 2.0, 2.0, 2.0, 2.0, 2.0, 9.0):  # the first compiles
        clock[0] += seconds
        trainer.global_step += 1
        callback.on_train_batch_end(trainer, None, None, None, 0)
    assert callback.expected == 106 + (300 - 50) // 2
    assert "about 231 of 1,000 steps" in capsys.readouterr().out


def test_the_summary_says_what_was_learnt_beside_copying():
    history = {
        "train/loss": [(1, 2.0)],
        "val/psnr": [(1, 20.0), (500, 27.345)],
        "val/psnr_copy": [(500, 25.0)],
        "val/feature_std": [(500, 0.5)],
    }
    text = summary("diamond", Path("runs/mine"), RUN, 500, history, playable=True)
    assert "500 of 1,000 steps" in text and "far from all" in text
    assert "val/psnr 27.34, copying the last frame 25.00" in text and "feature_std 0.5" in text
    assert 'wm.play("runs/mine", env="doom/basic")' in text and "wmlearn evaluate" in text
    numbers = summary("diamond", Path("runs/mine"), RUN, 500, history, playable=True, keyed=False)
    assert "ActionTable" in numbers and 'wm.load_world("runs/mine")' in numbers
    whole = summary("vjepa", Path("a"), RUN, 1000, {}, playable=False)
    assert "far" not in whole and "wm.play" not in whole


@pytest.mark.parametrize(
    "numbers",
    [{"seed": -1}, {"max_steps": -3}, {"max_steps": 0}, {"batch_size": 0}, {"holdout": 1.5},
     {"hold": 0.5}, {"max_minutes": -1}, {"max_minutes": float("nan")}],
)  # fmt: skip
def test_impossible_numbers_are_refused_by_name(numbers):
    (name,) = numbers
    with pytest.raises(ValueError, match=f"^{name} must be"):
        RunConfig(**numbers)
