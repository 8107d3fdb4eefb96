"""Trains systems for three steps, alone or in two processes, and keeps what came of it.

    python two_processes.py FOLDER DEVICES NAME ...

FOLDER/data/NAME holds the episodes, FOLDER/world a world for the policies. Each process writes
FOLDER/NAME-DEVICES-RANK.safetensors: the first step's gradients and the weights' way.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path

import lightning as L
import torch
from safetensors.torch import save_file

from wmlearn.data.datamodule import ClipDataModule
from wmlearn.data.episodes import EpisodeStore
from wmlearn.systems import TRAINABLE
from wmlearn.systems.unisim.config import StepsConfig
from wmlearn.train.resume import Resume
from wmlearn.train.trainer import make_trainer

EQUAL = {  # what makes a step of two half batches that of a whole one
    "cosmos": {"tokenizer_span": (0.0, 1.0), "model_span": (0.0, 1.0)},
    "cosmos-ar": {"tokenizer_span": (0.0, 1.0), "model_span": (0.0, 1.0)},
    "gamengen": {f"{part}_span": (0.0, 1.0) for part in ("autoencoder", "denoiser", "decoder")},
    "genie": {f"{part}_span": (0.0, 1.0) for part in ("tokenizer", "actions", "dynamics")}
    | {"revive_every": 3},
    "sora": {f"{part}_span": (0.0, 1.0) for part in ("autoencoder", "video")},
    "unisim": {f"{part}_span": (0.0, 1.0) for part in ("autoencoder", "simulator")}
    | {"steps": StepsConfig(channels=8, most=0)},  # else errors cancel
    "vjepa": {"regularizer": "none"},  # its moments are those of a process's own batch
}


class KeepGradients(L.Callback):
    """Of the first step, as all processes share them."""

    def __init__(self) -> None:
        self.kept: dict[str, torch.Tensor] = {}

    def on_before_optimizer_step(self, trainer, module, optimizer) -> None:
        named = [(k, p) for k, p in module.named_parameters() if p.requires_grad]
        self.kept = self.kept or {f"grads.{k}": p.grad.clone() for k, p in named}


def train(name: str, folder: Path, devices: int) -> None:
    recipe = TRAINABLE[name].load("recipe")
    run, config = recipe.preset("smoke")
    strategy = "ddp" if devices > 1 else "auto"
    run = replace(
        run, batch_size=4, accelerator="cpu", devices=devices, strategy=strategy, progress=False,
        validate_every=2 * bool(run.validate_every), ema_decay=0.0,
    )  # fmt: skip
    config = replace(config, **EQUAL.get(name, {}))
    if recipe.needs(config):
        config = replace(config, world=str(folder / "world"))
    steps = recipe.optimizer_steps(config)
    run = replace(run, max_steps=3 * steps)
    store = EpisodeStore(folder / "data" / name)
    config = recipe.complete(config, run, store)

    def part(batches: int, state: Path | None = None):
        """A new module, trained up to so many batches; its state is saved after each."""
        module = recipe.build(config)
        torch.manual_seed(0)
        for p in module.parameters():  # layers that start at zero would hide those before them
            if not p.any():
                torch.nn.init.normal_(p, std=0.02)
        before = {k: v.clone() for k, v in module.state_dict().items()}
        gradients = KeepGradients()
        path = folder / f"{name}-{devices}-{batches}.state"
        resume = Resume(path, 1, {}, 0)  # saving is a joint work, too
        trainer = make_trainer(replace(run, max_steps=batches * steps), folder, [gradients, resume])
        data = ClipDataModule(
            store, 4, run.clip_frames, passive=recipe.passive, optimizer_steps=steps
        )
        trainer.fit(module, data, ckpt_path=state)
        moved = {f"moved.{k}": v - before[k] for k, v in module.state_dict().items()}
        return {**gradients.kept, **moved}, path, trainer.global_rank

    kept, _, rank = part(3)
    if type(recipe.build(config)).on_save_checkpoint is not L.LightningModule.on_save_checkpoint:
        _, state, _ = part(2)  # each process has something of its own to save: broken and resumed
        again, _, _ = part(3, state)
        assert all(again[k].equal(v) for k, v in kept.items() if k.startswith("moved")), name
    save_file(kept, folder / f"{name}-{devices}-{rank}.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for each in sys.argv[3:]:
        train(each, Path(sys.argv[1]), int(sys.argv[2]))
