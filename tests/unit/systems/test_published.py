"""Weights as authors publish them, through the one door: ``load_published`` and its command.

The files are written here, from reference tensors under the authors' own names.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
import torch
from places import REFERENCES
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

import wmlearn as wm
from wmlearn import hub
from wmlearn.cli import main
from wmlearn.systems import LOADABLE

TOLERANCE = dict(rtol=0, atol=1e-4)
CONVERTIBLE = [name for name, entry in LOADABLE.items() if entry.published]


def reference(name):
    """Tensors by the authors' names, and the sizes that go with them."""
    path = REFERENCES / f"{name}.safetensors"
    with safe_open(path, "pt") as file:
        return load_file(path), {k: _json(text) for k, text in file.metadata().items()}


def _json(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def parts(tensors, *names):
    return {k: v for k, v in tensors.items() if k.partition(".")[0] in names}


@pytest.fixture(scope="module")
def diamond(tmp_path_factory):
    """A file, its config, and all reference tensors."""
    from wmlearn.systems.diamond.config import DenoiserConfig, DiamondConfig, RewardEndConfig

    tensors, sizes = reference("diamond")
    path = tmp_path_factory.mktemp("published") / "Breakout.pt"
    torch.save(parts(tensors, "denoiser", "rew_end_model"), path)
    shared = dict(num_actions=4, cond_channels=32, depths=(1, 2), channels=(16, 32))
    shared["attention"] = (False, True)
    size = sizes["rew_end_model"]
    reward_end = RewardEndConfig(image_size=size["img_size"], lstm_dim=size["lstm_dim"], **shared)
    return path, DiamondConfig(DenoiserConfig(**shared), reward_end), tensors


@pytest.fixture(scope="module")
def vjepa(tmp_path_factory):
    """Files of both systems, their configs, and all reference tensors."""
    from wmlearn.systems.vjepa.config import EncoderConfig, PredictorConfig, VJEPAConfig
    from wmlearn.systems.vjepa2_ac.config import ACPredictorConfig
    from wmlearn.systems.vjepa2_ac.published import DROID

    tensors, _ = reference("vjepa2")
    folder = tmp_path_factory.mktemp("published")
    wrapped = {
        part: {
            f"module.backbone.{name.removeprefix(part + '.')}": value
            for name, value in parts(tensors, part).items()
        }
        for part in ("encoder", "predictor", "ac_predictor")
    }
    wrapped["encoder"]["module.backbone.pos_embed"] = torch.zeros(1, 64, 48)  # not used any more
    averaged = {name: value + 1 for name, value in wrapped["encoder"].items()}
    whole = {"encoder": wrapped["encoder"], "predictor": wrapped["predictor"], "epoch": 7}
    torch.save(whole | {"target_encoder": averaged, "scaler": None}, folder / "vitl.pt")
    arm = {"encoder": wrapped["encoder"], "predictor": wrapped["ac_predictor"]}
    torch.save(arm, folder / "vjepa2-ac.pt")
    encoder = EncoderConfig(
        image_size=32, patch_size=8, frames=8, tubelet_size=2, dim=48, depth=2, heads=2
    )
    predictor = PredictorConfig(dim=48, depth=2, heads=2, mask_tokens=2)
    ac = ACPredictorConfig(feature_dim=48, grid_side=4, frames=4, dim=48, depth=2, heads=2)
    return (
        folder,
        VJEPAConfig(encoder=encoder, predictor=predictor),
        replace(DROID, encoder=encoder, predictor=ac),
        tensors,
    )


@torch.no_grad()
def test_diamond_dreams_as_published(diamond):
    path, config, tensors = diamond
    system = wm.load_published("diamond", path, config)
    assert not system.training and system.card["published"]["file"] == "Breakout.pt"
    arguments = [tensors[f"in.{name}"] for name in ("noisy_next_obs", "sigma", "obs", "act")]
    estimate = system.denoiser.estimate(*arguments)
    assert_close(estimate, tensors["out.denoised_unquantised"], **TOLERANCE)
    logits, *_ = system.reward_end(*(tensors[f"rew.{name}"] for name in ("obs", "act", "next_obs")))
    assert_close(logits, tensors["rew.logits_reward"], **TOLERANCE)


def test_the_file_says_how_many_actions_there_are(diamond, monkeypatch):
    from wmlearn.systems.diamond import published

    path, config, _ = diamond
    monkeypatch.setattr(published, "PAPER", config.for_actions(9))
    assert wm.load_published("diamond", path).config == config


def test_a_published_policy_acts(tmp_path):
    from wmlearn.agents.actor_critic import ActorCritic, ActorCriticConfig

    ours = ActorCritic(replace(ActorCriticConfig(), num_actions=5, seed=3))
    torch.nn.init.normal_(ours.actor.weight)
    published = {"denoiser.other": torch.ones(1)}
    for name, value in ours.state_dict().items():
        name = name.replace("critic.", "critic_linear.").replace("actor.", "actor_linear.")
        name = name.replace("encoder.", "encoder.encoder.", 1)
        name = name.replace(".norm.", ".f.0.norm.").replace(".conv.", ".f.2.")
        published["actor_critic." + name.replace(".shortcut.", ".skip_projection.")] = value
    torch.save(published, tmp_path / "agent.pt")
    policy = wm.load_published("actor-critic", tmp_path / "agent.pt")
    frames = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        logits, *_ = policy(frames, policy.initial_memory(2))
        expected, *_ = ours.eval()(frames, ours.initial_memory(2))
    assert logits.shape == (2, 5) and expected.std() > 0
    assert_close(logits, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_vjepa_sees_as_published(vjepa):
    folder, config, _, tensors = vjepa
    system = wm.load_published("vjepa", folder / "vitl.pt", config)
    features = system.encoder(tensors["in.video"].transpose(1, 2))
    assert_close(features, tensors["out.encoder_full"], **TOLERANCE)
    visible, hidden = tensors["in.context_index"], tensors["in.target_index"]
    guess = system.predictor(tensors["out.encoder_context"], visible, hidden)
    assert_close(guess, tensors["out.predictor"], **TOLERANCE)
    own, average = system.encoder.norm.bias, system.target_encoder.norm.bias
    assert_close(average, own + 1)


def test_the_file_says_how_large_its_transformers_are(vjepa, monkeypatch):
    from wmlearn.systems.vjepa import published

    folder, config, _, _ = vjepa
    with pytest.raises(ValueError, match="width 48, which is none of the published"):
        wm.load_published("vjepa", folder / "vitl.pt")
    sizes = replace(config.encoder, dim=1024, depth=24, heads=16, mlp_ratio=3.0)
    small = replace(config, encoder=sizes, predictor=replace(config.predictor, depth=9))
    monkeypatch.setattr(published, "PAPER", small)
    monkeypatch.setattr(published, "_HEADS", {48: 2})
    found = wm.load_published("vjepa", folder / "vitl.pt").config
    assert found == replace(config, encoder=replace(config.encoder, frames=64))


@torch.no_grad()
def test_vjepa2_ac_predicts_as_published(vjepa):
    folder, _, config, tensors = vjepa
    system = wm.load_published("vjepa2-ac", folder / "vjepa2-ac.pt", config)
    output = system.predictor(
        *(tensors[f"ac.{name}"] for name in ("features", "actions", "states"))
    )
    assert_close(output, tensors["ac.out"], **TOLERANCE)
    world = system.world()
    pose = torch.tensor([[0.3, 0.0, 0.4, 0.0, 0.1, 0.0, 0.5]])
    frames = torch.randint(256, (1, 1, 3, 32, 32), dtype=torch.uint8)
    state = world.reset(wm.Clip(frames, torch.zeros(1, 0, 7), state=pose[:, None]))
    state, _ = world.step(state, torch.from_numpy(world.action_space.high)[None])
    assert_close(state.arm, pose + torch.tensor([0.05, 0.05, 0.05, 0, 0, 0, 0.75]))


@torch.no_grad()
def test_gamengen_starts_from_a_published_folder(tmp_path):
    from wmlearn.nn.autoencoder import AutoencoderConfig
    from wmlearn.systems.gamengen import DenoiserConfig, GameNGenConfig, UNetConfig

    tensors, _ = reference("latent_diffusion")
    for part in ("vae", "unet"):
        weights = {k.removeprefix(f"{part}."): v for k, v in parts(tensors, part).items()}
        if part == "unet":  # it knows no past
            weights["conv_in.weight"] = weights["conv_in.weight"][:, -4:].contiguous()
        (tmp_path / part).mkdir()
        save_file(weights, tmp_path / part / "diffusion_pytorch_model.safetensors")
    network = UNetConfig(
        channels=(16, 32), attention=(True, False), layers_per_block=1, token_dim=24, heads=4,
        groups=8,
    )  # fmt: skip
    config = GameNGenConfig(
        image_size=16,
        autoencoder=AutoencoderConfig(
            latent_channels=4, channels=(16, 24), layers_per_block=1, groups=8
        ),
        denoiser=DenoiserConfig(context_frames=3, unet=network),
    )
    system = wm.load_published("gamengen", tmp_path, config)
    mean = system.autoencoder.encode(tensors["in.image"]).mean
    assert_close(mean, tensors["out.vae.mean"], **TOLERANCE)


def test_the_command_makes_a_checkpoint(diamond, tmp_path, capsys):
    path, config, _ = diamond
    (tmp_path / "config.json").write_text(json.dumps(asdict(config)))
    words = ["convert", "diamond", str(path), "--out", str(tmp_path / "breakout")]
    assert main([*words, "--config", str(tmp_path / "config.json"), "--half"]) == 0
    assert "diamond" in capsys.readouterr().out
    again, direct = hub.load(tmp_path / "breakout"), wm.load_published("diamond", path, config)
    assert again.config == config and again.card["published"]["file"] == "Breakout.pt"
    for name, value in direct.state_dict().items():
        assert_close(again.state_dict()[name], value.half().float(), rtol=0, atol=0)


def test_what_does_not_fit_is_said_in_a_sentence(diamond, tmp_path, capsys):
    path, config, _ = diamond
    with pytest.raises(ValueError, match=r"do not fit this configuration \(.* and \d+ more\)"):
        wm.load_published("diamond", path)  # not of the paper's sizes
    with pytest.raises(ValueError, match="No published weights are known for 'genie'"):
        wm.load_published("genie", path)
    assert main(["convert", "diamond", str(path), "--out", str(tmp_path / "x")]) == 2
    assert "give the config" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", [name for name in CONVERTIBLE if name != "gamengen"])
def test_code_in_a_file_is_not_run(name, tmp_path):
    from pathlib import Path

    torch.save({"denoiser.a": Path("anything"), "encoder": Path("anything")}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match="cannot be read as plain weights"):
        wm.load_published(name, tmp_path / "evil.pt")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        wm.load_published(name, tmp_path / "nowhere.pt")
