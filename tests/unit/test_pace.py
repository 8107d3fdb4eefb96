"""What a run says of its minutes, before and after."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from lightning.pytorch.callbacks import Timer

from wmlearn.recipes.run import RunConfig
from wmlearn.train import pace
from wmlearn.train.history import read_history
from wmlearn.train.pace import Pace, Verdict, outlook, summary

RUN = RunConfig(max_steps=1000, max_minutes=5, validate_every=200)


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (1000, "All 1,000 steps will take about 3.0 minutes"),
        (900, "about 900 of 1,000 steps in 5 minutes: nearly enough"),
        (750, "about 750 of 1,000 steps in 5 minutes: not enough"),
        (41, "about 41 of 1,000 steps in 5 minutes: not enough"),
    ],
)
def test_the_outlook_says_what_is_coming(expected, words):
    assert words in outlook(expected, RUN, 3)


@pytest.mark.parametrize(
    ("flags", "mark"), [(False, "max_minutes=123"), (True, "--max_minutes 123")]
)
def test_too_few_steps_come_with_three_choices(flags, mark):
    first, longer, smaller, ready = outlook(41, RUN, 117, "diamond", flags).splitlines()
    assert mark in longer and "goes on where it stopped" in longer
    assert "image_size" in smaller and "32" in smaller and "41" in smaller
    assert "wm.load_world('diamond-doom-basic')" in ready
    assert "`wmlearn list`" in outlook(41, RUN, 117, "unheard-of")


def test_a_run_without_a_limit_is_told_that_it_is_slow():
    free = RunConfig(max_steps=1000, max_minutes=0)
    assert "4.0 hours" in outlook(1000, free, 240) and "what is done is kept" in outlook(
        1000, free, 240
    )
    assert "longer" not in outlook(1000, free, 240)
    assert "slow" not in outlook(1000, free, 4)


class Clock:
    """Steps that take given seconds."""

    def __init__(self, run, monkeypatch, callbacks=()):
        self.now = 0.0
        monkeypatch.setattr(pace.time, "monotonic", lambda: self.now)
        monkeypatch.delenv("CI", raising=False)
        self.pace = Pace(run, "diamond")
        self.trainer = SimpleNamespace(
            global_step=100, is_global_zero=True, val_check_batch=200, callbacks=callbacks
        )
        self.pace.on_train_start(self.trainer, None)

    def make(self, *seconds, steps=1):
        for one in seconds:
            self.now += one
            self.trainer.global_step += steps
            self.pace.on_train_batch_end(self.trainer, None, None, None, 0)


def test_steps_are_timed_without_the_first(monkeypatch, capsys):
    clock = Clock(RUN, monkeypatch)
    clock.make(40.0, 2.0, 2.0, 2.0, 2.0, 2.0, 9.0)  # the first compiles
    assert clock.pace.expected == 106 + (300 - 50) // 2
    assert "about 231 of 1,000 steps" in capsys.readouterr().out
    clock.make(9.0)
    assert not capsys.readouterr().out  # said once


def test_a_very_slow_machine_is_told_before_six_steps(monkeypatch, capsys):
    clock = Clock(RUN, monkeypatch)
    clock.make(30.0, 20.0)
    assert "about 114 of 1,000 steps" in capsys.readouterr().out  # 102 and 250 s / 20 s


def test_batches_of_several_steps_are_counted_in_steps(monkeypatch):
    clock = Clock(RUN, monkeypatch)
    clock.make(1, 2, 2, 2, 2, 2, steps=3)
    assert clock.pace.expected == 118 + 3 * ((300 - 11) // 2)


def test_a_resumed_run_has_what_its_timer_has_left(monkeypatch):
    timer = Timer(duration={"minutes": 5})
    monkeypatch.setattr(timer, "time_remaining", lambda: 20.0)
    clock = Clock(RUN, monkeypatch, [timer])
    clock.make(1, 2, 2, 2, 2, 2)
    assert clock.pace.expected == 106 + 10


def test_a_short_run_is_measured_on_its_way(monkeypatch):
    slow = Clock(RUN, monkeypatch)
    slow.make(1, 20)
    assert slow.trainer.val_check_batch == 3  # 13 steps are to come
    quick = Clock(RUN, monkeypatch)
    quick.make(*[0.01] * 6)
    assert quick.trainer.val_check_batch == 200


HISTORY = {
    "train/loss": [(1, 2.0)],
    "val/psnr": [(1, 20.0), (500, 27.345)],
    "val/psnr_copy": [(500, 25.0)],
    "val/feature_std": [(500, 0.5)],
}


def test_a_verdict_says_which_case_it_was():
    whole = str(Verdict(1000, RUN, 4.0, HISTORY, "diamond"))
    assert whole.startswith("Trained: 1,000 of 1,000 steps in 4.0 minutes.") and "\n" not in whole
    assert "it is better than copying the last frame (27.34 dB; a copy 25.00 dB)" in whole
    worse = {"val/l1": [(1, 0.3)], "val/l1_copy": [(1, 0.2)]}
    assert "no better" in str(Verdict(1000, RUN, 4.0, worse))
    alike = {"val/psnr": [(5, 50.861)], "val/psnr_copy": [(5, 50.86)]}
    assert "no better" in str(Verdict(1000, RUN, 4.0, alike))  # as the two numbers read
    part = str(Verdict(41, RUN, 5.0, {}, "diamond"))
    assert part.startswith("Not finished: 41 of 1,000") and "does not hold for it" in part
    assert "max_minutes=122" in part and "wm.load_world" in part
    assert not Verdict(41, RUN, 5.0, {}).finished and Verdict(900, RUN, 5.0, {}).finished


def test_the_summary_says_what_was_learnt_beside_copying():
    part = Verdict(500, RUN, 5.0, HISTORY, "diamond", flags=True)
    text = summary("diamond", Path("runs/mine"), part, playable=True)
    assert "val/psnr 27.34, copying the last frame 25.00" in text and "feature_std 0.5" in text
    assert 'wm.play("runs/mine", env="doom/basic")' in text and "wmlearn evaluate" in text
    assert text.splitlines()[-1].startswith("Not finished: 500 of 1,000 steps")
    assert "--max_minutes 11" in text
    numbers = summary("diamond", Path("runs/mine"), part, playable=True, keyed=False)
    assert "ActionTable" in numbers and 'wm.load_world("runs/mine")' in numbers
    whole = summary("vjepa", Path("a"), Verdict(1000, RUN, 3, {}), playable=False)
    assert "Not" not in whole and "wm.play" not in whole


def test_a_metric_that_was_not_measured_is_missed_in_a_sentence(tmp_path):
    with pytest.raises(KeyError, match="did not measure val/psnr; it measured nothing"):
        read_history(tmp_path / "none.jsonl")["val/psnr"]


@pytest.mark.parametrize(
    "numbers",
    [{"seed": -1}, {"max_steps": -3}, {"max_steps": 0}, {"batch_size": 0}, {"holdout": 1.5},
     {"hold": 0.5}, {"max_minutes": -1}, {"max_minutes": float("nan")}],
)  # fmt: skip
def test_impossible_numbers_are_refused_by_name(numbers):
    (name,) = numbers
    with pytest.raises(ValueError, match=f"^{name} must be"):
        RunConfig(**numbers)
