"""Our DIAMOND against reference tensors of the published code (eloialonso/diamond, MIT)."""

from __future__ import annotations

import json

import pytest
import torch
from places import REFERENCES
from safetensors import safe_open
from safetensors.torch import load_file
from torch.testing import assert_close

from wmlearn.pixels import quantize
from wmlearn.systems.diamond.config import DenoiserConfig, RewardEndConfig, SamplerConfig
from wmlearn.systems.diamond.denoiser import Denoiser
from wmlearn.systems.diamond.published import convert_denoiser, convert_reward_end
from wmlearn.systems.diamond.reward_end import RewardEnd
from wmlearn.systems.diamond.sampler import noise_levels, sample

REFERENCE = REFERENCES / "diamond.safetensors"
TOLERANCE = dict(rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def reference():
    return load_file(REFERENCE)


@pytest.fixture(scope="module")
def published():
    """The published configurations, as JSON in the file's metadata."""
    with safe_open(REFERENCE, "pt") as file:
        return {name: json.loads(text) for name, text in file.metadata().items()}


@pytest.fixture(scope="module")
def denoiser(reference, published):
    config = published["denoiser"]
    model = Denoiser(
        DenoiserConfig(
            num_actions=config["num_actions"],
            image_channels=config["img_channels"],
            context_frames=config["num_steps_conditioning"],
            cond_channels=config["cond_channels"],
            depths=tuple(config["depths"]),
            channels=tuple(config["channels"]),
            attention=tuple(map(bool, config["attn_depths"])),
            sigma_data=config["sigma_data"],
            sigma_offset_noise=config["sigma_offset_noise"],
        )
    )
    model.load_state_dict(convert_denoiser(reference))
    return model.eval()


def test_inner_network(denoiser, reference):
    noisy, sigma = reference["in.noisy_next_obs"], reference["in.sigma"]
    output = denoiser.inner_output(
        noisy, denoiser.noise_level(sigma), reference["in.obs"], reference["in.act"]
    )
    assert_close(output, reference["out.model_output"], **TOLERANCE)


def test_denoised_frame(denoiser, reference):
    arguments = [reference[f"in.{name}"] for name in ("noisy_next_obs", "sigma", "obs", "act")]
    with torch.no_grad():
        estimate = denoiser.estimate(*arguments)
        assert_close(estimate, reference["out.denoised_unquantised"], **TOLERANCE)
        assert_close(quantize(estimate), reference["out.denoised"], **TOLERANCE)
        assert_close(denoiser.denoise(*arguments), reference["out.denoised"], **TOLERANCE)


@pytest.mark.parametrize(("order", "name"), [(1, "euler3"), (2, "heun3")])
def test_samplers(denoiser, reference, published, order, name):
    numbers = published["sampler"]
    config = SamplerConfig(
        num_steps=numbers["num_steps_denoising"],
        order=order,
        sigma_min=numbers["sigma_min"],
        sigma_max=numbers["sigma_max"],
        rho=numbers["rho"],
    )
    assert_close(noise_levels(config), reference["sample.sigmas"], **TOLERANCE)
    frame = sample(
        denoiser,
        reference["in.obs"],
        reference["in.act"],
        reference["sample.initial_noise"],
        config,
    )
    assert_close(frame, reference[f"sample.{name}"], **TOLERANCE)


def test_reward_and_end(reference, published):
    config = published["rew_end_model"]
    model = RewardEnd(
        RewardEndConfig(
            num_actions=config["num_actions"],
            image_channels=config["img_channels"],
            image_size=config["img_size"],
            lstm_dim=config["lstm_dim"],
            cond_channels=config["cond_channels"],
            depths=tuple(config["depths"]),
            channels=tuple(config["channels"]),
            attention=tuple(map(bool, config["attn_depths"])),
        )
    )
    model.load_state_dict(convert_reward_end(reference))
    reward_logits, end_logits, _ = model(
        *(reference[f"rew.{name}"] for name in ("obs", "act", "next_obs"))
    )
    assert_close(reward_logits, reference["rew.logits_reward"], **TOLERANCE)
    assert_close(end_logits, reference["rew.logits_end"], **TOLERANCE)
