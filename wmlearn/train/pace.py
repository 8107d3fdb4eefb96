"""How far a run will come in its minutes, said before they are spent; and what it did, in words."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Timer

from wmlearn import hub
from wmlearn.files import list_checkpoints
from wmlearn.recipes.run import RunConfig
from wmlearn.recipes.tiers import get_tier

TIMED = 5  # steps after the first, which is slower than the others
PATIENCE = 15.0  # seconds of timing after which fewer steps will do
ENOUGH = 0.9  # share of the steps from which on a run counts as done: last parts are trained last
MEASUREMENTS = 4  # on the way, however short the run


class Pace(L.Callback):
    """Times the first steps, and says what is coming: how long, how far, and what to do about it.

    A run that its minutes will cut short of its measurements on held-out clips gets earlier ones.

    Args:
        run: the run's numbers.
        system: its name.
        flags: speak of ``--max_minutes 9`` instead of ``max_minutes=9``.

    Attributes:
        expected: steps that the run will come to, once known.
    """

    def __init__(self, run: RunConfig, system: str = "", flags: bool = False) -> None:
        self.run, self.system, self.flags, self.expected = run, system, flags, run.max_steps
        self._since, self._first, self._batches, self._told = 0.0, 0, 0, False

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._begun, self._first = time.monotonic(), trainer.global_step

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        self._batches += 1
        now, timed = time.monotonic(), self._batches - 1
        if timed == 0:
            self._since, self._first = now, trainer.global_step
        elif not self._told and (timed == TIMED or now - self._since > PATIENCE):
            self._told = True
            self._look_ahead(trainer, (now - self._since) / timed, now)

    def _look_ahead(self, trainer: L.Trainer, seconds: float, now: float) -> None:
        """What follows from ``seconds``, the time of a batch."""
        run = self.run
        steps = max(1, round((trainer.global_step - self._first) / (self._batches - 1)))  # a batch
        rest = (run.max_steps - trainer.global_step) * seconds / steps
        if run.max_minutes:
            left = max(0.0, _left(trainer, 60 * run.max_minutes - (now - self._begun)))
            reached = trainer.global_step + int(left / seconds) * steps
            self.expected = min(run.max_steps, reached)
        first = run.validate_every and trainer.global_step // run.validate_every + 1
        cut = self.expected < run.max_steps  # only then: else a resumed run would measure elsewhere
        if cut and first and self.expected < (first + MEASUREMENTS) * run.validate_every:
            batches = (self.expected - trainer.global_step) // steps
            often = max(1, batches // MEASUREMENTS)
            trainer.val_check_batch = min(trainer.val_check_batch, often)
        if trainer.is_global_zero and run.progress and not os.environ.get("CI"):
            print(outlook(self.expected, run, rest / 60, self.system, self.flags), flush=True)


def _left(trainer: L.Trainer, otherwise: float) -> float:
    """Seconds that the run's timer, which a resumed run goes on with, has left."""
    for callback in getattr(trainer, "callbacks", ()):
        if isinstance(callback, Timer):
            return float(callback.time_remaining())
    return otherwise


def outlook(
    expected: int, run: RunConfig, minutes: float, system: str = "", flags: bool = False
) -> str:
    """What is coming, in a sentence; and what can be done, where that is not enough.

    Args:
        expected: steps that the run will come to.
        run: its numbers.
        minutes: that all steps which are left would take.
        system: its name.
        flags: as for ``Pace``.
    """
    usual = get_tier(run.tier).minutes
    if expected >= run.max_steps and minutes <= max(2 * usual, run.max_minutes):
        return f"All {run.max_steps:,} steps will take about {_about(minutes)} on this machine."
    if expected >= run.max_steps:
        told = (
            f"All {run.max_steps:,} steps will take about {_about(minutes)} on this machine, which "
            f"is slow or busy (usual are {usual:g}). Wait, or stop it: what is done is kept."
        )
    else:
        near = "nearly enough" if expected >= ENOUGH * run.max_steps else "not enough"
        told = (
            f"This machine will make about {expected:,} of {run.max_steps:,} steps in "
            f"{run.max_minutes:g} minutes: {near}."
        )
        if near == "nearly enough":
            return told
    return "\n".join([told, *choices(expected, run, minutes, system, flags)])


def choices(
    steps: int, run: RunConfig, minutes: float, system: str = "", flags: bool = False
) -> list[str]:
    """What somebody can do whose machine is too slow, a line each.

    Args:
        steps: that it makes in the run's minutes.
        run, minutes, system, flags: as for ``outlook``.
    """

    def word(name: str, value: str) -> str:
        return f"--{name} {value}" if flags else f"{name}={value}"

    lines = []
    if run.max_minutes:
        whole = run.max_minutes + minutes
        lines.append(
            f"  longer:   {word('max_minutes', f'{_up(whole)}')} for all steps; the same call "
            "goes on where it stopped"
        )
    side = max(8, run.image_size // 2)
    fewer = max(1, steps if steps < run.max_steps else run.max_steps // 4)
    lines.append(
        f"  smaller:  {word('image_size', str(side))} or {word('batch_size', _half(run))}, or "
        f"{word('max_steps', str(fewer))}, a whole run of its own, in another folder"
    )
    ready = prepared(system, run.env)
    shown = f"wm.load_world({ready[0]!r})" if ready else "`wmlearn list` names the checkpoints"
    lines.append(f"  prepared: {shown}, trained by the same code to its end")
    return lines


def prepared(system: str, env: str = "") -> list[str]:
    """Names of the checkpoints of this system that come with the course; those of ``env`` first,
    and the longest trained of each.
    """
    cards = {name: hub.read_card(name) for name in list_checkpoints()}
    names = [name for name, card in cards.items() if card.get("system") == system]
    return sorted(names, key=lambda n: (cards[n].get("env") != env, -cards[n].get("steps", 0)))


@dataclass(frozen=True)
class Verdict:
    """What a run came to.

    Attributes:
        steps: that were made.
        run: what was asked for.
        minutes: of training.
        history: metrics by name, each a list of (step, value).
        system: its name.
        flags: as for ``Pace``.
    """

    steps: int
    run: RunConfig
    minutes: float
    history: dict[str, list[tuple[int, float]]]
    system: str = ""
    flags: bool = False

    @property
    def finished(self) -> bool:
        """Whether (nearly) all steps were made."""
        return self.steps >= ENOUGH * self.run.max_steps

    def __str__(self) -> str:
        made = f"{self.steps:,} of {self.run.max_steps:,} steps in {_about(self.minutes)}"
        if self.finished:
            return f"Trained: {made}.{self._beside_copying()}"
        rest = (self.run.max_steps - self.steps) * self.minutes / max(self.steps, 1)
        return "\n".join(
            [
                f"Not finished: {made}.{self._beside_copying()} What is said of a trained one does "
                "not hold for it.",
                *choices(self.steps, self.run, rest, self.system, self.flags),
            ]
        )

    def _beside_copying(self) -> str:
        """Whether the last measurement beats copying the last frame."""
        for name, unit, sign in (("val/psnr", " dB", 1), ("val/l1", "", -1)):
            if self.history.get(name) and self.history.get(f"{name}_copy"):
                ours, copy = (round(self.history[n][-1][1], 2) for n in (name, f"{name}_copy"))
                how = "better" if sign * (ours - copy) > 0 else "no better"
                return (
                    f" On held-out clips it is {how} than copying the last frame "
                    f"({ours:.2f}{unit}; a copy {copy:.2f}{unit})."
                )
        return ""


def summary(
    system: str,
    out: Path,
    verdict: Verdict,
    playable: bool,
    keyed: bool = True,
) -> str:
    """What a run leaves behind, as the lines that the command ends with.

    An unfinished run is said to be one in the last of them.

    Args:
        system: its name.
        out: the run's folder.
        verdict: what it came to.
        playable: whether the system is a world of frames.
        keyed: whether its actions are choices, as keys are; else they are numbers.
    """
    lines = [f"{system}: the checkpoint is in {out}."]
    last = {name: values[-1][1] for name, values in verdict.history.items() if values}
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
        lines.append(f'Play it in a notebook: wm.play("{out.as_posix()}", env="{verdict.run.env}")')
    lines.append(f"Measure it: wmlearn evaluate {out} --data FOLDER")
    first, *rest = str(verdict).splitlines()
    return "\n".join([*lines, *rest, first])


def _about(minutes: float) -> str:
    if minutes < 1:
        seconds = max(1, round(60 * minutes))
        return f"{seconds} second{'s' * (seconds > 1)}"
    if minutes < 90:
        return f"{minutes:.1f} minutes" if minutes < 9.95 else f"{minutes:.0f} minutes"
    return f"{minutes / 60:.1f} hours"


def _up(minutes: float) -> str:
    return f"{int(minutes) + 1}"


def _half(run: RunConfig) -> str:
    return str(max(1, run.batch_size // 2))
