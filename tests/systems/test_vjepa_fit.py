"""V-JEPA trains through ``wmlearn fit``, resumes, loads again, and on two processes as on one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import wmlearn as wm
from wmlearn.chapters.ch11_vjepa.motion import extract
from wmlearn.data.episodes import Episode, EpisodeStore, EpisodeWriter
from wmlearn.systems.vjepa import VJEPA
from wmlearn.systems.vjepa.recipe import complete, preset
from wmlearn.train.fit import fit


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Sixteen short videos of drifting stripes."""
    path = tmp_path_factory.mktemp("data") / "stripes"
    writer = EpisodeWriter(path, None, (3, 64, 64), env="clips/metaworld")
    x = np.arange(64)
    for number in range(16):
        frames = [
            np.broadcast_to(128 + 100 * np.sin((x + t * (number % 5)) / 5), (3, 64, 64))
            for t in range(16)
        ]
        writer.write(Episode(np.stack(frames).astype(np.uint8)))
    return str(path)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = str(tmp_path_factory.mktemp("runs") / "vjepa")
    return fit("vjepa", tier="smoke", data=data, frames=256, out=out, progress=False)


def test_a_run_leaves_a_checkpoint_with_features(trained):
    system = wm.load(trained.out)
    assert isinstance(system, VJEPA) and system.card["steps"] == 4
    clip = trained.store.clip([(0, 0), (1, 1)], length=15)
    features = extract(system, clip)
    assert features.shape == (2, 64, system.config.encoder.dim)
    torch.testing.assert_close(features, extract(trained.system, clip))
    names = {"val/prediction", "val/feature_std", "val/effective_rank"}
    assert names <= set(trained.history)
    assert not system.target_encoder.blocks[0].norm1.weight.requires_grad


def test_a_resumed_run_ends_where_an_unbroken_one_does(trained, data, tmp_path):
    options = dict(tier="smoke", data=data, frames=256, out=str(tmp_path / "r"), progress=False)
    half = fit("vjepa", max_steps=2, **options | {"out": str(tmp_path / "half")})
    assert half.system.global_step == 2
    whole = fit("vjepa", **options)
    for name, value in whole.system.state_dict().items():
        assert torch.equal(value, trained.system.state_dict()[name]), name


def test_data_that_do_not_fit_are_refused(data):
    run, config = preset("smoke")
    with pytest.raises(ValueError, match="clip_frames=9 is too short"):
        complete(config, replace(run, clip_frames=9), EpisodeStore(data))
    odd = replace(config, encoder=replace(config.encoder, patch_size=24))
    with pytest.raises(ValueError, match="patches of 24 pixels"):
        complete(odd, run, EpisodeStore(data))


SCRIPT = """
import sys
from dataclasses import replace
import lightning as L, torch
from wmlearn.data.datamodule import ClipDataModule
from wmlearn.data.episodes import EpisodeStore
from wmlearn.systems.vjepa.recipe import build, complete, preset

torch.set_num_threads(1)
run, config = preset("smoke")
store = EpisodeStore(sys.argv[1])
config = replace(complete(config, run, store), regularizer="none")  # its moments are a process's
module = build(config)
before = {k: v.clone() for k, v in module.state_dict().items()}
devices = int(sys.argv[2])
trainer = L.Trainer(
    accelerator="cpu", devices=devices, strategy="ddp" if devices > 1 else "auto", max_steps=3,
    logger=False, enable_checkpointing=False, enable_progress_bar=False,
    enable_model_summary=False, use_distributed_sampler=False, limit_val_batches=0,
)
trainer.fit(module, ClipDataModule(store, batch_size=4, length=run.clip_frames))
if trainer.is_global_zero:
    torch.save({k: v - before[k] for k, v in module.state_dict().items()}, sys.argv[3])
"""


def test_two_processes_equal_one(data, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    for devices in (1, 2):
        command = [sys.executable, str(script), data, str(devices), str(tmp_path / f"{devices}")]
        result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=400)
        assert result.returncode == 0, result.stderr[-2000:]
    one, two = (torch.load(tmp_path / f"{n}", weights_only=True) for n in (1, 2))
    for name in one:
        assert one[name].any(), f"{name} did not move"
        error = (one[name] - two[name]).norm()
        assert error <= 1e-3 * one[name].norm(), f"{name}: {error}"
