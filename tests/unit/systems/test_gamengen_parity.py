"""Our latent diffusion against reference tensors of a published implementation (diffusers)."""

from __future__ import annotations

import json

import pytest
import torch
from places import REFERENCES
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from wmlearn.nn.autoencoder import AutoencoderConfig, KLAutoencoder
from wmlearn.systems.gamengen import DenoiserConfig, GameNGen, GameNGenConfig, UNet, UNetConfig
from wmlearn.systems.gamengen.published import convert_autoencoder, convert_unet, start_from
from wmlearn.systems.gamengen.unet import timestep_features

REFERENCE = REFERENCES / "latent_diffusion.safetensors"
TOLERANCE = dict(rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def reference():
    return load_file(REFERENCE)


@pytest.fixture(scope="module")
def published():
    with safe_open(REFERENCE, "pt") as file:
        return json.loads(file.metadata()["config"])


def part(reference, prefix):
    return {k.removeprefix(prefix): v for k, v in reference.items() if k.startswith(prefix)}


def sizes(published):
    vae, unet = published["vae"], published["unet"]
    autoencoder = AutoencoderConfig(
        latent_channels=vae["latent_channels"],
        channels=tuple(vae["block_out_channels"]),
        layers_per_block=vae["layers_per_block"],
        groups=vae["norm_num_groups"],
    )
    network = UNetConfig(
        in_channels=unet["in_channels"],
        out_channels=unet["out_channels"],
        channels=tuple(unet["block_out_channels"]),
        attention=tuple("CrossAttn" in name for name in unet["down_block_types"]),
        layers_per_block=unet["layers_per_block"],
        token_dim=unet["cross_attention_dim"],
        heads=unet["attention_head_dim"],
        groups=unet["norm_num_groups"],
    )
    return autoencoder, network


@pytest.fixture(scope="module")
def autoencoder(reference, published):
    model = KLAutoencoder(sizes(published)[0])
    model.load_state_dict(convert_autoencoder(part(reference, "vae.")))
    return model.eval()


@pytest.fixture(scope="module")
def unet(reference, published):
    model = UNet(sizes(published)[1])
    model.load_state_dict(convert_unet(part(reference, "unet.")))
    return model.eval()


@torch.no_grad()
def test_the_autoencoder_encodes_as_published(autoencoder, reference):
    latents = autoencoder.encode(reference["in.image"])
    assert_close(latents.mean, reference["out.vae.mean"], **TOLERANCE)
    assert_close(latents.logvar, reference["out.vae.logvar"], **TOLERANCE)
    assert_close(latents.kl(), reference["out.vae.kl"], rtol=1e-5, atol=1e-4)
    sample = latents.sample(reference["in.eps"])
    assert_close(sample, reference["out.vae.sample"], **TOLERANCE)


@torch.no_grad()
def test_the_autoencoder_decodes_as_published(autoencoder, reference):
    for name in ("mean", "sample"):
        drawn = autoencoder.decode(reference[f"out.vae.{name}"])
        assert_close(drawn, reference[f"out.vae.decode_{name}"], **TOLERANCE)


@torch.no_grad()
def test_the_unet_predicts_as_published(unet, reference):
    x = torch.cat([reference["in.unet.context"], reference["in.unet.noisy"]], dim=1)
    steps = reference["in.unet.timesteps"]
    embedded = unet.time_embedding(timestep_features(steps, unet.config.channels[0]))
    assert_close(embedded, reference["out.unet.time_embedding"], **TOLERANCE)
    assert_close(unet.conv_in(x), reference["out.unet.conv_in"], **TOLERANCE)
    output = unet(x, steps, reference["in.unet.tokens"])
    assert_close(output, reference["out.unet.sample"], **TOLERANCE)


@pytest.fixture
def folder(reference, tmp_path):
    """The reference weights as they would be published; the U-Net knows no past."""
    unet = part(reference, "unet.")
    unet["conv_in.weight"] = unet["conv_in.weight"][:, -4:].contiguous()
    for name, weights in (("vae", part(reference, "vae.")), ("unet", unet)):
        (tmp_path / name).mkdir()
        save_file(weights, tmp_path / name / "diffusion_pytorch_model.safetensors")
    return tmp_path


def small(published):
    autoencoder, network = sizes(published)
    denoiser = DenoiserConfig(context_frames=3, unet=network)
    return GameNGen(GameNGenConfig(image_size=16, autoencoder=autoencoder, denoiser=denoiser))


@torch.no_grad()
def test_a_system_that_starts_from_published_weights_ignores_the_past_at_first(
    published, folder, reference
):
    system = start_from(small(published), folder)
    noisy, steps = reference["in.unet.noisy"], torch.tensor([3, 700])
    clean = torch.zeros(2)
    actions = torch.zeros(2, 3, dtype=torch.long)
    past = torch.randn(2, 3, 4, 8, 8)
    with_past = system.denoiser.v(noisy, steps, past, clean, actions)
    without = system.denoiser.v(noisy, steps, 0 * past, clean, actions)
    assert_close(with_past, without)
    assert system.latent_std[0].item() == pytest.approx(1 / 0.18215)


def test_names_of_the_first_releases_are_understood(reference, autoencoder):
    weights = part(reference, "vae.")
    old = {}
    for name, value in weights.items():
        for ours, theirs in ((".to_q.", ".query."), (".to_k.", ".key."), (".to_v.", ".value.")):
            name = name.replace(ours, theirs)
        old[name.replace(".to_out.0.", ".proj_attn.")] = value
    assert old.keys() != weights.keys()
    for name, value in convert_autoencoder(old).items():
        assert_close(value, autoencoder.state_dict()[name])


def test_missing_damaged_and_foreign_files_are_refused(published, folder):
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    with pytest.raises(ValueError, match="truncated"):
        start_from(small(published), folder)
    file.unlink()
    with pytest.raises(ValueError, match="missing"):
        start_from(small(published), folder)
    file.write_bytes((folder / "vae" / "diffusion_pytorch_model.safetensors").read_bytes())
    with pytest.raises(ValueError, match="do not fit"):
        start_from(small(published), folder)
