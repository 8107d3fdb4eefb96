"""How far a run will come in its minutes, said before they are spent; and what it did, in words."""

from __future__ import annotations

import os
import time
from pathlib import Path

import lightning as L

from wmlearn.recipes.run import RunConfig

TIMED = 5  # steps after the first, which is slower than the others


class Pace(L.Callback):
    """Times the first steps, and says where the minutes will not be enough.

    Attributes:
        expected: steps that the run will come to, once known.
    """

    def __init__(self, run: RunConfig) -> None:
        self.run, self.expected = run, run.max_steps
        self._since = self._begun = 0.0
        self._first = 0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._begun, self._first = time.monotonic(), trainer.global_step

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        done = trainer.global_step - self._first
        if done == 1:
            self._since = time.monotonic()
        if done != 1 + TIMED or not self.run.max_minutes:
            return
        now = time.monotonic()
        left = 60 * self.run.max_minutes - (now - self._begun)
        self.expected = trainer.global_step + int(left / ((now - self._since) / TIMED))
        if trainer.is_global_zero and not os.environ.get("CI"):
            print(outlook(self.expected, self.run), end="")


def outlook(expected: int, run: RunConfig) -> str:
    """One line on what is coming; empty where the run will come to its end."""
    if expected >= run.max_steps:
        return ""
    share = expected / run.max_steps
    verdict = (
        "which will be nearly enough"
        if share > 0.7
        else "which will not be enough: give it more --max_minutes, make it smaller "
        "(--system.FIELD), or use a prepared checkpoint (`wmlearn list`)"
    )
    return (
        f"This machine will make about {expected:,} of {run.max_steps:,} steps in "
        f"{run.max_minutes:g} minutes, {verdict}.\n"
    )


def summary(
    system: str,
    out: Path,
    run: RunConfig,
    steps: int,
    history: dict[str, list[tuple[int, float]]],
    playable: bool,
    keyed: bool = True,
) -> str:
    """What a run leaves behind, as the lines that the command ends with.

    Args:
        system: its name.
        out: the run's folder.
        run: what was asked for.
        steps: how many were made.
        history: metrics by name, each a list of (step, value).
        playable: whether the system is a world of frames.
        keyed: whether its actions are choices, as keys are; else they are numbers.
    """
    lines = [f"{system}: {steps:,} of {run.max_steps:,} steps; the checkpoint is in {out}."]
    if steps < 0.7 * run.max_steps:
        lines.append("That is far from all: judge it as an unfinished one.")
    last = {name: values[-1][1] for name, values in history.items() if values}
    baselines = {name for name in last if name.endswith("_copy")}
    for name in sorted(last):
        if f"{name}_copy" in baselines:
            lines.append(
                f"  {name} {last[name]:.2f}, copying the last frame {last[name + '_copy']:.2f}"
            )
        elif name not in baselines and name.startswith("val/"):
            lines.append(f"  {name} {last[name]:.4g}")
    if playable and not keyed:
        lines.append(
            "Its actions are numbers: wm.play(wmlearn.world.ActionTable(world, rows), "
            f'context=CLIP) plays world = wm.load_world("{out.as_posix()}") with a key for each '
            "of your rows, as chapter 8 does."
        )
    elif playable:
        lines.append(f'Play it in a notebook: wm.play("{out.as_posix()}", env="{run.env}")')
    lines.append(f"Measure it: wmlearn evaluate {out} --data FOLDER")
    return "\n".join(lines)
