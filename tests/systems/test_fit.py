"""Training end to end at the smoke tier, and what a run may be asked for (see test_resume.py)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

import wmlearn as wm
from wmlearn.fast.upsample import FastUpsample
from wmlearn.fast.winograd import FastConv3x3
from wmlearn.recipes.tiers import TIERS, current_tier, get_tier
from wmlearn.systems.diamond import PAPER
from wmlearn.train import data as data_module
from wmlearn.train.command import main
from wmlearn.train.fit import fit
from wmlearn.train.settings import from_values, from_words
from wmlearn.train.trainer import settle_precision

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


def test_layers_are_fast_in_training_on_a_cpu_and_in_what_is_loaded(trained):
    for system in (trained.system, wm.load(trained.out)):
        kinds = {type(layer) for layer in system.modules()}
        assert {FastConv3x3, FastUpsample} <= kinds


def test_history_has_losses_and_the_baseline(trained):
    assert {"val/psnr", "val/psnr_copy"} <= set(trained.history)
    steps = [step for step, _ in trained.history["val/psnr"]]
    assert steps == [2, 4]


def test_reward_values_are_the_data_s_means(trained):
    negative, zero, positive = trained.system.config.reward_end.reward_values
    assert -9 <= negative <= -4 and zero == 0 and (positive > 90 or positive == 1)


def test_yaml_out_is_yaml_in(trained, tmp_path):
    path = trained.out / "config.yaml"
    asked = from_words("diamond", ["--config", str(path), "--out", str(tmp_path)])
    run, config = asked.run, asked.config
    assert run.tier == "smoke" and run.max_steps == 4 and run.out == str(tmp_path)
    assert config == trained.system.config
    assert yaml.safe_load(path.read_text())["system"]["denoiser"]["predict"] == "change"


def test_one_atari_game_at_the_colab_preset(tmp_path):
    """The paper's model on real Breakout frames, by the same command; a few steps on a CPU."""
    pytest.importorskip("ale_py")
    out = tmp_path / "breakout"
    wm.record("atari/breakout", tmp_path / "data", frames=120, progress=False)
    status = main(
        ["diamond", "--tier", "colab", "--env", "atari/breakout", "--data", str(tmp_path / "data"),
         "--out", str(out), "--holdout", "0", "--max_steps", "2",
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
    for wrong in ({"devices": 0}, {"accelerator": "abacus"}, {"precision": "exact"}):
        with pytest.raises(ValueError, match=f"Lightning refuses .*{next(iter(wrong))}="):
            fit("diamond", tier="smoke", data=data, out=str(tmp_path), progress=False, **wrong)
    with pytest.raises(ValueError, match="system.denoiser.context_frames must be at least 1"):
        fit("diamond", tier="smoke", data=data, **{"system.denoiser.context_frames": 0})
    assert not (tmp_path / "model.safetensors").exists()


def test_values_are_values():
    """What Python gives is checked and arrives as it is, without a detour through words."""
    odd = "a,b: [--tier=pod] 'x' #"
    own = {"system.denoiser.depths": (2, 2, 2)}
    run = {"tier": "smoke", "data": Path("a b"), "out": odd, "max_minutes": 5}
    asked = from_values("diamond", run | own)
    assert (asked.run.data, asked.run.out, asked.run.max_minutes) == ("a b", odd, 5.0)
    assert asked.config.denoiser.depths == (2, 2, 2) and asked.run.tier == "smoke"
    assert asked.given == {"tier", "data", "out", "max_minutes"}
    whole = from_values("diamond", {"system": PAPER, "system.seed": 3})
    assert whole.config == replace(PAPER, seed=3)
    for wrong in ({"max_stepz": 1}, {"max_steps": "many"}, {"system.depth": 2}):
        with pytest.raises(ValueError, match=next(iter(wrong)).split(".")[0]):
            from_values("diamond", wrong)


def test_words_and_values_ask_for_the_same(tmp_path):
    values = {"max_steps": 7, "holdout": 0.5, "progress": False, "system.learning_rate": 1e-3}
    words = "--max_steps 7 --holdout=0.5 --progress false --system.learning_rate 1e-3".split()
    assert from_words("genie", words) == from_values("genie", values)
    with pytest.raises(ValueError, match="--max-steps; did you mean --max_steps?"):
        from_words("genie", ["--max-steps", "7"])  # one spelling: the field's
    with pytest.raises(ValueError, match="did you mean --system.learning_rate?"):
        from_words("genie", ["--system.learn_rate=1"])
    with pytest.raises(ValueError, match="extra"):
        from_words("genie", ["extra"])


def test_the_parser_finds_the_tier(tmp_path, monkeypatch):
    monkeypatch.setenv("WMLEARN_TIER", "smoke")
    file = tmp_path / "run.yaml"
    file.write_text("tier: colab\nmax_steps: 3\n")
    tier = lambda *words: from_words("diamond", words).run.tier  # noqa: E731
    assert tier() == "smoke" and tier("--config", str(file)) == "colab"
    assert tier("--config", str(file), "--tier=node") == "node"
    assert tier("--out", "x --tier pod", "--data=a--tier node") == "smoke"
    assert from_words("diamond", [f"--config={file}"]).run.batch_size == 32


def test_what_nobody_named_is_found_a_place(tmp_path, monkeypatch):
    """The shipped clips are unpacked, the run gets a folder, and a second call finds both."""
    monkeypatch.chdir(tmp_path)
    first = fit("genie", tier="smoke", max_steps=1, validate_every=0, progress=False)
    assert first.store.path == Path("data/procgen-coinrun-mixed-600-64-hold7")
    monkeypatch.setattr(data_module, "unpack", lambda *args: pytest.fail("again"))
    again = fit("genie", tier="smoke", max_steps=1, validate_every=0, progress=False)
    assert again.out == first.out and len(list(Path("runs").iterdir())) == 1
    assert first.out.name.startswith("genie-procgen-coinrun-smoke-")
    run = from_values("genie", {"tier": "smoke", "seed": 3, "hold": 2.5}).run
    assert data_module.default_folder(run) == "data/procgen-coinrun-mixed-600-64-hold2.5-seed3"


def test_tiers(monkeypatch):
    assert list(TIERS) == ["smoke", "laptop", "colab", "node", "pod"]
    monkeypatch.setenv("WMLEARN_TIER", "colab")
    assert current_tier() is get_tier("colab")
    for name in TIERS:
        asked = from_words("diamond", ["--tier", name])
        run, config = asked.run, asked.config
        assert run.tier == name and run.clip_frames >= config.denoiser.context_frames + 1
    assert from_words("diamond", ["--tier", "node"]).config.denoiser == PAPER.denoiser
    assert from_words("diamond", []).run.tier == "colab"


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_precision_is_what_the_machine_is_fast_in(monkeypatch, native, expected):
    from wmlearn.recipes.run import RunConfig

    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    run = RunConfig.for_tier("laptop", accelerator="cpu")
    assert settle_precision(run) == expected
    assert settle_precision(RunConfig.for_tier("smoke")) == "32-true"
