"""Metrics of a run on disk, one JSON line a measurement; a resumed run goes on where it stood."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import lightning as L

from wmlearn.files import write_whole

LOG_EVERY = 20  # steps; values in between are averaged


class History(L.Callback):
    """Writes training losses (averaged over ``LOG_EVERY`` steps) and validation metrics.

    Attributes:
        seconds: training time so far, over all resumed parts of the run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.seconds = 0.0
        self._since = time.monotonic()
        self._sums: dict[str, Any] = {}
        self._count = 0

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self._elapsed(), "sums": self._sums, "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seconds, self._count = state["seconds"], state["count"]
        self._sums = dict(state["sums"])

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._since = time.monotonic()
        if trainer.is_global_zero:
            self._forget(after=trainer.global_step)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        for name, value in trainer.callback_metrics.items():
            if name.startswith("train/"):
                self._sums[name] = self._sums.get(name, 0) + value.detach()
        self._count += 1
        if trainer.global_step % LOG_EVERY == 0:
            self._write(trainer, {name: v / self._count for name, v in self._sums.items()})
            self._sums, self._count = {}, 0

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        metrics = trainer.callback_metrics.items()
        self._write(trainer, {k: v for k, v in metrics if k.startswith("val/")})

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.seconds, self._since = self._elapsed(), time.monotonic()

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self._since

    def _forget(self, after: int) -> None:
        """Drops what a run wrote that was killed later than its last state, a torn line too."""
        text = self.path.read_bytes().decode(errors="replace") if self.path.exists() else ""
        rows = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        kept = "".join(
            line
            for number, line in enumerate(rows, 1)
            if _row(line, self.path, number)["step"] <= after
        )
        if kept != text:
            write_whole(self.path, kept)

    def _write(self, trainer: L.Trainer, metrics: dict[str, Any]) -> None:
        if not trainer.is_global_zero or not metrics:
            return
        row = {"step": trainer.global_step, "seconds": round(self._elapsed(), 1)}
        row |= {name: round(float(value), 6) for name, value in metrics.items()}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


class Metrics(dict[str, list[tuple[int, float]]]):
    """Metrics by name; one that is not there is missed in a sentence."""

    def __missing__(self, name: str) -> list[tuple[int, float]]:
        known = ", ".join(self) or "nothing, since it made too few steps: give it more max_minutes"
        raise KeyError(f"The run did not measure {name}; it measured {known}.")


def read_history(path: str | Path) -> Metrics:
    """Metrics by name, each a list of (step, value); a repeated step keeps its last value.

    Raises:
        ValueError: a line is not what a run writes.
    """
    metrics: dict[str, dict[int, float]] = {}
    text = Path(path).read_bytes().decode(errors="replace") if Path(path).exists() else ""
    for number, line in enumerate(text.splitlines(), 1):
        row = _row(line, path, number)
        step = row.pop("step")
        for name, value in row.items():
            metrics.setdefault(name, {})[step] = value
    return Metrics({name: sorted(values.items()) for name, values in metrics.items()})


def _row(line: str, path: str | Path, number: int) -> dict[str, float]:
    """One line: numbers by name, ``step`` among them."""
    try:
        row = json.loads(line)
        if isinstance(row["step"], int) and all(isinstance(v, int | float) for v in row.values()):
            return row
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise ValueError(
        f"Line {number} of {path} is not what a run writes (damaged, or something else): delete "
        "that line, or the file, to go on without it."
    )
