"""GameNGen on two processes is GameNGen on one; a stopped run goes on as if whole."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete

import wmlearn as wm
from wmlearn.data.episodes import Episode, EpisodeWriter
from wmlearn.train.fit import fit

SCRIPT = """
import sys
from dataclasses import replace
import lightning as L, torch
from wmlearn.data.datamodule import ClipDataModule
from wmlearn.data.episodes import EpisodeStore
from wmlearn.systems import TRAINABLE

data, out, devices, part = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
torch.set_num_threads(1)
recipe = TRAINABLE["gamengen"].load("recipe")
run, config = recipe.preset("smoke")
store = EpisodeStore(data)
config = recipe.complete(config, run, store)
# the part's turn begins with the second step, and the scale of the latents is measured there
spans = {"autoencoder": (0, 1), "denoiser": (1, 1), "decoder": (1, 1)}
if part != "autoencoder":
    first = 1 / config.max_steps
    spans = {"autoencoder": (0, first), "denoiser": (first, first), "decoder": (first, first)}
    spans[part] = (first, 1)
    if part == "denoiser":
        spans["decoder"] = (1, 1)
config = replace(config, **{f"{name}_span": span for name, span in spans.items()})
module = recipe.build(config)
torch.manual_seed(0)
for p in module.parameters():  # layers that start at zero would hide the gradients before them
    if not p.any():
        torch.nn.init.normal_(p, std=0.02)
before = {k: v.clone() for k, v in module.state_dict().items()}
trainer = L.Trainer(
    accelerator="cpu", devices=devices, strategy="ddp" if devices > 1 else "auto", max_steps=3,
    logger=False, enable_checkpointing=False, enable_progress_bar=False,
    enable_model_summary=False, use_distributed_sampler=False, limit_val_batches=0,
)
loader = ClipDataModule(store, batch_size=4, length=run.clip_frames, pad_start=run.pad_start)
trainer.fit(module, loader)
if trainer.is_global_zero:
    torch.save({k: v - before[k] for k, v in module.state_dict().items()}, out)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Boxes that move right with action 1: nothing that needs a simulator."""
    path = tmp_path_factory.mktemp("boxes") / "data"
    writer = EpisodeWriter(path, Discrete(4), (3, 32, 32), env="boxes")
    rng = np.random.default_rng(0)
    for _ in range(4):
        actions = rng.integers(0, 4, 20)
        places = np.concatenate([[0], np.cumsum(actions == 1)]) + rng.integers(10)
        frames = rng.integers(0, 30, (21, 3, 32, 32)).astype(np.uint8)
        for frame, place in zip(frames, places, strict=True):
            frame[:, 10:20, place : place + 6] = (250, 40, 120)[rng.integers(3)]
        false = np.zeros(20, bool)
        reward = (actions == 2).astype(np.float32)
        writer.write(Episode(frames, actions.astype(np.int64), reward, false, false))
    return path


@pytest.mark.parametrize("part", ["autoencoder", "denoiser", "decoder"])
def test_two_processes_equal_one(part, data, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    moved = []
    for devices in ("1", "2"):
        out = tmp_path / devices
        result = subprocess.run(
            [sys.executable, str(script), str(data), str(out), devices, part],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, timeout=400,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr[-2000:]
        moved.append(torch.load(out, weights_only=True))
    one, two = moved
    assert one.keys() == two.keys()
    own = "autoencoder" if part == "decoder" else part
    assert sum(one[name].any().item() for name in one if name.startswith(own)) > 10
    for name in one:
        if name.endswith("to_k.bias"):  # softmax does not see it: its gradient is rounding alone
            continue
        error = (one[name] - two[name]).norm()
        assert error <= 2e-3 * one[name].norm() + 1e-7, f"{name} differs by {error}"


def test_a_run_that_was_stopped_ends_where_a_whole_one_does(data, tmp_path):
    numbers = dict(
        tier="smoke", data=str(data), env="boxes", frames=80, max_steps=6, validate_every=0,
        progress=False,
        checkpoint_every=1, ema_decay=0.0,
    )  # fmt: skip
    whole = fit("gamengen", out=str(tmp_path / "whole"), **numbers)
    stopped = tmp_path / "stopped"
    code = f"""
from wmlearn.train.fit import fit
from wmlearn.systems.gamengen.system import GameNGen
take = GameNGen.training_step
def step(self, batch, number):
    if self.global_step == 4:
        import os; os._exit(9)
    return take(self, batch, number)
GameNGen.training_step = step
fit("gamengen", out={str(stopped)!r}, **{numbers!r})
"""
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=400)
    assert killed.returncode == 9, killed.stderr[-2000:]
    resumed = fit("gamengen", out=str(stopped), **numbers)
    for name, value in whole.system.state_dict().items():
        assert torch.equal(value, resumed.system.state_dict()[name]), name


def test_a_run_leaves_a_world_that_loads_by_its_name(data, tmp_path):
    result = fit(
        "gamengen", tier="smoke", data=str(data), env="boxes", frames=80, out=str(tmp_path / "run"),
        progress=False,
    )  # fmt: skip
    assert {"val/psnr", "val/psnr_autoencoder", "val/psnr_copy"} <= set(result.history)
    world = wm.load_world(tmp_path / "run")
    assert world.frame_shape == (3, 32, 32)
    assert world.system.config.max_steps == 6
    assert result.system.latent_std.ne(1).all()
