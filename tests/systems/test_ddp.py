"""Two processes with half a batch each compute the gradients of one with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

SCRIPT = """
import sys
from dataclasses import replace
from importlib import import_module
import lightning as L, torch
from wmlearn.data.datamodule import ClipDataModule
from wmlearn.data.episodes import EpisodeStore

class KeepGradients(L.Callback):
    def on_before_optimizer_step(self, trainer, module, optimizer):
        if trainer.is_global_zero and trainer.global_step == 0:
            grads = {k: p.grad.clone() for k, p in module.named_parameters()}
            torch.save(grads, sys.argv[3] + ".grads")

torch.set_num_threads(1)
recipe = import_module(f"wmlearn.systems.{sys.argv[4]}.recipe")
run, config = recipe.preset("smoke")
if sys.argv[4] == "genie":  # all parts at once, and codes that died are moved in the second step
    spans = {f"{part}_span": (0.0, 1.0) for part in ("tokenizer", "actions", "dynamics")}
    config = replace(config, **spans)
store = EpisodeStore(sys.argv[1])
module = recipe.build(recipe.complete(config, run, store))
torch.manual_seed(0)
for p in module.parameters():  # layers that start at zero would hide the gradients before them
    if not p.any():
        torch.nn.init.normal_(p, std=0.02)
before = {k: v.clone() for k, v in module.state_dict().items()}
devices = int(sys.argv[2])
trainer = L.Trainer(
    accelerator="cpu", devices=devices, strategy="ddp" if devices > 1 else "auto", max_steps=3,
    logger=False, enable_checkpointing=False, enable_progress_bar=False,
    enable_model_summary=False, use_distributed_sampler=False, limit_val_batches=0,
    callbacks=[KeepGradients()],
)
pad = run.pad_start
trainer.fit(module, ClipDataModule(store, batch_size=4, length=run.clip_frames, pad_start=pad))
if trainer.is_global_zero:
    moved = {k: v - before[k] for k, v in module.state_dict().items()}
    torch.save(moved, sys.argv[3] + ".moved")
"""


def _diamond_data(path):
    pytest.importorskip("vizdoom")
    import wmlearn as wm

    wm.record("doom/basic", path, frames=300, size=32, progress=False)


def _genie_data(path):
    from wmlearn.data.shipped import find_clips, unpack

    unpack(find_clips("procgen/coinrun", "mixed", 600, 64), path, 600)


@pytest.mark.parametrize("system, make_data", [("diamond", _diamond_data), ("genie", _genie_data)])
def test_two_processes_equal_one(system, make_data, tmp_path):
    data = tmp_path / "data"
    make_data(data)
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    for devices in (1, 2):
        command = [
            sys.executable,
            str(script),
            str(data),
            str(devices),
            str(tmp_path / f"{devices}"),
            system,
        ]
        result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=400)
        assert result.returncode == 0, result.stderr[-2000:]
    # By each tensor's norm, since Adam moves a weight by the sign of its gradient at first: where
    # that is all but zero, rounding decides, and a single weight may go the other way.
    for what, tolerance in (("grads", 1e-4), ("moved", 1e-3)):
        one, two = (torch.load(tmp_path / f"{n}.{what}", weights_only=True) for n in (1, 2))
        assert one.keys() == two.keys()
        for name in one:
            assert one[name].any() or what == "moved", f"no gradient reaches {name}"
            error = (one[name] - two[name]).norm()
            assert error <= tolerance * one[name].norm(), f"{what} of {name} differ by {error}"
