"""A run's state on disk, from which it goes on exactly. Nothing in it is unpickled.

``resume.safetensors`` holds all that decides the next step: weights, their average, the optimizer,
the schedule, the loops' counters. Tensors are stored as such; the plain values around them
(numbers, words, lists, dictionaries) are one JSON text in the file's header. It is written between
two steps, when the one before is wholly over, and appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.accelerators import XLAAccelerator
from lightning.pytorch.plugins.io import CheckpointIO, XLACheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from wmlearn import hub
from wmlearn.files import write_whole
from wmlearn.recipes.run import RunConfig
from wmlearn.train import data
from wmlearn.train.settings import Settings, plain

FILE = "resume.safetensors"
FORMAT, VERSION = "wmlearn-resume", 1
MAY_CHANGE = frozenset(
    "out data max_minutes progress num_workers num_threads devices num_nodes strategy accelerator "
    "checkpoint_every".split()
) | frozenset(data.FIELDS)
"""Settings that a resumed run may change: they do not decide what is learned, or the data do."""


class ResumeError(ValueError):
    """A folder that holds another run, or something that is no run's state."""


# --- what a run is -----------------------------------------------------------------------------


def identity(settings: Settings, config: Any, data_digest: str) -> dict[str, Any]:
    """What decides a run's result: two runs of equal identity end with the same weights.

    Args:
        settings: with the run's final numbers.
        config: the complete config.
        data_digest: of the content of its data.
    """
    numbers = {k: v for k, v in plain(settings.run).items() if k not in MAY_CHANGE}
    used = list(settings.recipe.needs(config))
    used += [settings.run.init] if settings.run.init else []
    return {
        "system": settings.name,
        "settings": _flat({**numbers, "system": plain(config)}),
        "data": data_digest,
        "checkpoints": {str(name): hub.read_card(name)["sha256"] for name in used},
    }


def default_out(settings: Settings, run: RunConfig, data_digest: str) -> str:
    """The folder of a run that was given none; its name depends on all that was asked for.

    Args:
        settings: as asked for.
        run: with what is true of the data.
        data_digest: of their content; counts where a folder was named.
    """
    preset, config = settings.recipe.preset(run.tier)
    usual = _flat({**plain(preset), "system": plain(config)})
    asked = _flat({**plain(settings.run), "system": plain(settings.config)})
    free = (MAY_CHANGE - set(data.FIELDS)) | {"env"}
    changed = {k: v for k, v in asked.items() if k not in free and usual.get(k) != v}
    if settings.run.data is not None:
        changed |= {"data": data_digest}
    name = f"runs/{settings.name}-{data.slug(run.env)}-{run.tier}"
    if not changed:
        return name
    text = json.dumps(changed, sort_keys=True)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


# --- the state that was left in a folder ---------------------------------------------------------


@dataclass(frozen=True)
class State:
    """What a run left behind.

    Attributes:
        path: the file.
        checkpoint: Lightning's dictionary, with ``"run"``: its identity, whether it is finished,
            and its time limit.
    """

    path: Path
    checkpoint: dict[str, Any]

    @property
    def steps(self) -> int:
        """Optimizer steps so far."""
        return self.checkpoint["global_step"]

    @property
    def minutes(self) -> float:
        """Of training so far."""
        return self.checkpoint["callbacks"]["History"]["seconds"] / 60

    @property
    def weights(self) -> dict[str, Tensor]:
        """Of the module; their average where the run keeps one."""
        return self.checkpoint["state_dict"]

    def is_finished(self, run: RunConfig) -> bool:
        """Whether there is nothing left to do; a longer time limit makes more of it."""
        facts = self.checkpoint["run"]
        more_time = (run.max_minutes or math.inf) > (facts["max_minutes"] or math.inf)
        return self.steps >= run.max_steps or (facts["finished"] and not more_time)

    def check(self, identity: dict[str, Any]) -> None:
        """``ResumeError`` unless this is the state of the very run that is asked for."""
        folder, before = self.path.parent, self.checkpoint["run"]["identity"]
        if before["system"] != identity["system"]:
            raise ResumeError(
                f"{folder} holds a run of {before['system']}, not of {identity['system']}; give "
                "another --out."
            )
        if before["data"] != identity["data"]:
            raise ResumeError(
                f"{folder} holds a run on other data; give those to resume it, or another --out to "
                "start anew."
            )
        old, new = before["settings"], identity["settings"]
        differing = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
        if differing:
            raise ResumeError(
                f"{folder} holds a run with other settings ({', '.join(differing)}); give the same "
                "settings to resume it, or another --out to start anew."
            )
        if before["checkpoints"] != identity["checkpoints"]:
            raise ResumeError(
                f"{folder} holds a run that began when a checkpoint it stands on "
                f"({', '.join(identity['checkpoints'])}) was another; give another --out."
            )


def find(out: Path) -> State | None:
    """The state that a run left in ``out``; None where nothing was trained yet.

    Raises:
        ResumeError: there is something in the folder that must be neither used nor overwritten.
    """
    if (out / FILE).exists():
        return State(out / FILE, read(out / FILE))
    if (out / "last.ckpt").exists():
        raise ResumeError(
            f"{out / 'last.ckpt'} is a state that an earlier version left; it is not read, since "
            "that could run code: delete it to train anew, or give another --out."
        )
    if (out / "card.json").exists():
        raise ResumeError(
            f"{out} holds a checkpoint, but not the state of the run that made it, so there is no "
            "telling whether it is the same; give another --out."
        )
    return None


class Resume(L.Callback):
    """Saves the run's state between two steps.

    Not where a step ends: a module may have work to do after it (``on_train_batch_end``), and
    validation too. The state of step k is saved as step k + 1 begins, or after the last one.

    Args:
        path: the file.
        every: steps between two states.
        identity: what the run is, see ``identity``.
        max_minutes: its time limit.
    """

    def __init__(
        self, path: Path, every: int, identity: dict[str, Any], max_minutes: float
    ) -> None:
        self.path, self.every = path, max(every, 1)
        self.facts = {"identity": identity, "finished": False, "max_minutes": max_minutes}
        self._saved = 0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._saved = trainer.global_step

    def on_train_batch_start(self, trainer, module, batch, batch_idx) -> None:
        if trainer.global_step // self.every > self._saved // self.every:
            self._saved = trainer.global_step
            trainer.save_checkpoint(self.path, weights_only=False)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.facts["finished"] = True
        trainer.save_checkpoint(self.path, weights_only=False)

    def on_save_checkpoint(self, trainer, module, checkpoint: dict[str, Any]) -> None:
        checkpoint["run"] = self.facts
        # The step that begins is counted as begun, and nothing of it has happened.
        batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for count in (batches["total"], batches["current"]):
            count["ready"] = count["completed"]


# --- the file ------------------------------------------------------------------------------------


class SafeCheckpointIO(CheckpointIO):
    """Lightning's checkpoints as safetensors and JSON."""

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        write(path, checkpoint)

    def load_checkpoint(self, path, map_location=None, weights_only=None) -> dict[str, Any]:
        return read(path)

    def remove_checkpoint(self, path) -> None:
        Path(path).unlink(missing_ok=True)


def state_io() -> CheckpointIO:
    """For the machine at hand: on a TPU, Lightning takes none but a kind of its own."""
    if XLAAccelerator.is_available():
        return type("SafeXLACheckpointIO", (SafeCheckpointIO, XLACheckpointIO), {})()
    return SafeCheckpointIO()


def write(path: str | Path, state: dict[str, Any]) -> None:
    """Writes tensors and plain values, nested as they are; ``TypeError`` for anything else."""
    tensors: dict[str, Tensor] = {}
    text = json.dumps({"version": VERSION, "state": _pack(state, tensors)})

    def write_(temporary: Path) -> None:
        save_file(tensors, temporary, metadata={FORMAT: text})
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())

    write_whole(path, write_)


def read(path: str | Path) -> dict[str, Any]:
    """What ``write`` wrote; ``ResumeError`` for any other file."""
    try:
        with safe_open(path, "pt") as file:
            text = json.loads((file.metadata() or {})[FORMAT])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if text["version"] != VERSION:
            raise ValueError(f"version {text['version']}")
        return _unpack(text["state"], tensors)
    except (
        SafetensorError, ValueError, KeyError, TypeError, IndexError, AttributeError,
        RecursionError,
    ) as error:  # fmt: skip
        raise ResumeError(
            f"{path} is not the state of a run of this version (damaged, or something else): "
            "delete it to train anew, or give another --out."
        ) from error


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """JSON for ``value``; its tensors are put aside, each in memory of its own."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[_key(key), _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_pack(item, tensors) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"A {type(value).__name__} cannot be kept in a run's state: {value!r:.80}.")


def _key(key: Any) -> str | int:
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise TypeError(f"A run's state has words and whole numbers as keys, not {key!r:.80}.")
    return key


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _unpack(item, tensors) for key, item in content}
    items: Sequence[Any] = [_unpack(item, tensors) for item in content]
    return {"list": list, "tuple": tuple}[kind](items)


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
