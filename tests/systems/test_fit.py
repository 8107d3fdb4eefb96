"""Training end to end at the smoke tier: it learns, resumes exactly, and says what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

import wmlearn as wm
from wmlearn.recipes.tiers import TIERS, current_tier, get_tier
from wmlearn.systems.diamond import PAPER
from wmlearn.train.fit import fit, main, parse

pytest.importorskip("vizdoom")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """300 real frames of doom/basic at 32 x 32."""
    path = tmp_path_factory.mktemp("data") / "basic"
    wm.record("doom/basic", path, frames=300, size=32, progress=False)
    return str(path)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "diamond"
    return fit("diamond", tier="smoke", data=data, out=str(out), progress=False)


def test_a_run_leaves_a_checkpoint_that_plays(trained):
    world = wm.load_world(trained.out)
    clip = trained.store.clip([(0, 0), (0, 1)], length=5)
    state = world.reset(clip)
    _, step = world.step(state, torch.tensor([1, 3]), torch.Generator().manual_seed(0))
    assert step.frame.shape == (2, 3, 32, 32) and step.frame.dtype == torch.uint8
    card = json.loads((trained.out / "card.json").read_text())
    assert card["tier"] == "smoke" and card["steps"] == 4 and card["minutes"] >= 0
    assert card["data"]["env"] == "doom/basic"


def test_history_has_losses_and_the_baseline(trained):
    assert {"val/psnr", "val/psnr_copy"} <= set(trained.history)
    steps = [step for step, _ in trained.history["val/psnr"]]
    assert steps == [2, 4]


def test_reward_values_are_the_data_s_means(trained):
    negative, zero, positive = trained.system.config.reward_end.reward_values
    assert -9 <= negative <= -4 and zero == 0 and (positive > 90 or positive == 1)


def test_yaml_out_is_yaml_in(trained, tmp_path):
    path = trained.out / "config.yaml"
    run, config = parse("diamond", ["--config", str(path), "--out", str(tmp_path)])
    assert run.tier == "smoke" and run.max_steps == 4 and run.out == str(tmp_path)
    assert config == trained.system.config
    assert yaml.safe_load(path.read_text())["system"]["denoiser"]["predict"] == "change"


@pytest.mark.parametrize("system", ["actor-critic", "searched-policy"])
def test_a_policy_learns_in_the_dream(system, trained, data, tmp_path):
    result = fit(
        system, tier="smoke", data=data, out=str(tmp_path / "policy"), progress=False,
        **{"system.world": str(trained.out)},
    )  # fmt: skip
    network = wm.load(result.out)
    logits, value, _ = network(
        torch.zeros(2, 3, 32, 32, dtype=torch.uint8), network.initial_memory(2)
    )
    assert logits.shape == (2, 4) and value.shape == (2,)


def _command(data: str, out: Path, steps: int) -> list[str]:
    return [
        sys.executable, "-m", "wmlearn", "fit", "diamond", "--tier", "smoke", "--data", data,
        "--out", str(out), "--max_steps", str(steps), "--checkpoint_every", "3",
        "--progress", "false",
    ]  # fmt: skip


def test_a_killed_run_resumes_to_the_same_weights(data, tmp_path):
    """kill -9 in the middle, then the same command: bit for bit the uninterrupted run's weights."""
    steps, env = 12, {**os.environ, "OMP_NUM_THREADS": "1"}
    whole = tmp_path / "whole"
    subprocess.run(_command(data, whole, steps), check=True, env=env, capture_output=True)

    killed = tmp_path / "killed"
    process = subprocess.Popen(
        _command(data, killed, steps), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 240
    while not (killed / "last.ckpt").exists():
        assert process.poll() is None and time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "model.safetensors").exists(), "it was killed before its end"

    subprocess.run(_command(data, killed, steps), check=True, env=env, capture_output=True)
    expected, got = (load_file(path / "model.safetensors") for path in (whole, killed))
    for name, value in expected.items():
        assert torch.equal(value, got[name]), name
    assert json.loads((killed / "card.json").read_text())["steps"] == steps


def test_other_settings_do_not_overwrite_a_run(trained, data):
    with pytest.raises(ValueError, match=r"other settings \(batch_size\)"):
        fit("diamond", tier="smoke", data=data, out=str(trained.out), batch_size=2, progress=False)


def test_one_atari_game_at_the_colab_preset(tmp_path):
    """The paper's model on real Breakout frames, by the same command; a few steps on a CPU."""
    pytest.importorskip("ale_py")
    out = tmp_path / "breakout"
    status = main(
        ["diamond", "--tier", "colab", "--env", "atari/breakout", "--data", str(tmp_path / "data"),
         "--out", str(out), "--frames", "120", "--holdout", "0", "--max_steps", "2",
         "--batch_size", "2", "--validate_every", "0", "--progress", "false",
         "--precision", "32-true", "--num_workers", "0"]
    )  # fmt: skip
    assert status == 0
    world = wm.load_world(out)
    assert world.frame_shape == (3, 64, 64) and world.sampler.num_steps == 3
    assert replace(world.system.config.denoiser, num_actions=4) == PAPER.denoiser


def test_clear_words_for_wrong_use(data, tmp_path):
    with pytest.raises(ValueError, match="no system 'dreamer'"):
        fit("dreamer")
    with pytest.raises(ValueError, match="no tier 'mainframe'"):
        fit("diamond", tier="mainframe")
    with pytest.raises(ValueError, match="clip_frames=4 is too short"):
        fit("diamond", tier="smoke", data=data, out=str(tmp_path), clip_frames=4, progress=False)


def test_tiers(monkeypatch):
    assert list(TIERS) == ["smoke", "laptop", "colab", "node", "pod"]
    monkeypatch.setenv("WMLEARN_TIER", "colab")
    assert current_tier() is get_tier("colab")
    for name in TIERS:
        run, config = parse("diamond", ["--tier", name])
        assert run.tier == name and run.clip_frames >= config.denoiser.context_frames + 1
    assert parse("diamond", ["--tier", "node"])[1].denoiser == PAPER.denoiser


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_precision_is_what_the_machine_is_fast_in(monkeypatch, native, expected):
    from wmlearn.recipes.run import RunConfig
    from wmlearn.train import fit as module

    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    run = RunConfig.for_tier("laptop", accelerator="cpu")
    assert module._precision(run) == expected
    assert module._precision(RunConfig.for_tier("smoke")) == "32-true"
