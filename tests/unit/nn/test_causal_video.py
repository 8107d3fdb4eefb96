"""The causal video tokenizer: against reference tensors, and what it promises by itself."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from places import REFERENCES
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from wmlearn.nn.causal_video import (
    CausalVideoConfig,
    CausalVideoTokenizer,
    haar,
    inverse_haar,
)
from wmlearn.systems.cosmos.published import load_tokenizer

REFERENCE = REFERENCES / "cosmos_tokenizer.safetensors"
TOLERANCE = dict(rtol=0, atol=1e-4)
SMALL = CausalVideoConfig(
    latent_channels=4, encoder_channels=(8, 8, 12), decoder_channels=(8, 8, 12),
    layers_per_block=1, patch_size=4, space_ratio=8, time_ratio=4, attention=False,
)  # fmt: skip
PATCH_2 = replace(
    SMALL, patch_size=2, space_ratio=4, encoder_channels=(8, 8, 8, 8), decoder_channels=(8, 8, 8, 8)
)


@pytest.fixture(scope="module")
def reference():
    return load_file(REFERENCE)


@pytest.fixture(scope="module")
def published(reference, tmp_path_factory):
    with safe_open(REFERENCE, "pt") as file:
        there = json.loads(file.metadata()["config"])["autoencoder"]
    config = CausalVideoConfig(
        latent_channels=there["latent_channels"],
        encoder_channels=tuple(there["encoder_block_out_channels"]),
        decoder_channels=tuple(there["decode_block_out_channels"]),
        layers_per_block=there["num_layers"],
        patch_size=there["patch_size"],
        space_ratio=there["spatial_compression_ratio"],
        time_ratio=there["temporal_compression_ratio"],
        attention_resolutions=tuple(there["attention_resolutions"]),
        resolution=there["resolution"],
    )
    weights = {
        name.removeprefix("autoencoder."): value
        for name, value in reference.items()
        if name.startswith("autoencoder.")
    }
    path = tmp_path_factory.mktemp("published") / "diffusion_pytorch_model.safetensors"
    save_file(weights, path)
    with pytest.raises(ValueError, match="do not fit"):
        load_tokenizer(path, replace(config, latent_channels=8))
    return load_tokenizer(path, config)


def swapped(x):
    """[B, C, T, H, W], as published, and [B, T, C, H, W]."""
    return x.transpose(1, 2)


def random_video(config, latents=3, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    frames = 1 + config.time_ratio * (latents - 1)
    return torch.rand(batch, frames, 3, 32, 32, generator=generator) * 2 - 1


def random_tokenizer(config, seed=0):
    torch.manual_seed(seed)
    return CausalVideoTokenizer(config).eval()


@torch.no_grad()
def test_every_output_is_the_published_one(published, reference):
    video = swapped(reference["in.video"])
    patches = haar(video, 2)
    assert_close(patches, swapped(reference["out.haar_patches"]), **TOLERANCE)
    assert_close(inverse_haar(patches, 2), swapped(reference["out.haar_inverse"]), **TOLERANCE)
    first = published.encoder.conv_in(patches)
    assert_close(first, swapped(reference["out.encoder_conv_in"]), **TOLERANCE)
    latents = published.encode(video)
    assert_close(latents, swapped(reference["out.latents"]), **TOLERANCE)
    drawn = published.decode(swapped(reference["out.latents"]))
    assert_close(drawn, swapped(reference["out.reconstruction"]), **TOLERANCE)
    part = published.decode(swapped(reference["out.latents"])[:, :2])
    assert_close(part, swapped(reference["out.reconstruction_first2latents"]), **TOLERANCE)
    assert_close(
        published.encode(video[:, :1]), swapped(reference["out.latents_image"]), **TOLERANCE
    )
    assert_close(
        published.encode(video[:, :5]), swapped(reference["out.latents_first5"]), **TOLERANCE
    )


@pytest.mark.parametrize("patch_size", [2, 4])
def test_haar_loses_nothing_and_begins_with_means(patch_size):
    video = torch.randn(2, 9, 3, 16, 16, dtype=torch.float64)
    patches = haar(video, patch_size)
    assert patches.shape == (2, 1 + 8 // patch_size, 3 * patch_size**3, *2 * (16 // patch_size,))
    assert_close(inverse_haar(patches, patch_size), video)
    later = video[:, 1:].unflatten(1, (-1, patch_size)).mean(2)
    means = torch.nn.functional.avg_pool2d(later.flatten(0, 1), patch_size)
    assert_close(patches[:, 1:, :3].flatten(0, 1), means)


@pytest.mark.parametrize("config", [SMALL, PATCH_2, replace(PATCH_2, attention=True)])
@torch.no_grad()
def test_later_frames_change_no_latent_and_no_frame(config):
    tokenizer, video = random_tokenizer(config), random_video(config)
    other = video.clone()
    kept = 1 + config.time_ratio
    other[:, kept:] = random_video(config, seed=1)[:, kept:]
    a, b = tokenizer.encode(video), tokenizer.encode(other)
    assert torch.equal(a[:, :2], b[:, :2])
    assert not torch.equal(a[:, 2:], b[:, 2:])
    mixed = torch.cat([a[:, :2], b[:, 2:]], dim=1)
    drawn, mixed = tokenizer.decode(a), tokenizer.decode(mixed)
    assert drawn.shape == video.shape
    assert torch.equal(drawn[:, :kept], mixed[:, :kept])
    assert not torch.equal(drawn, mixed)


@torch.no_grad()
def test_a_picture_is_a_video_of_one_frame():
    tokenizer, video = random_tokenizer(SMALL), random_video(SMALL)
    picture = tokenizer.encode(video[:, :1])
    assert picture.shape == (2, 1, 4, 4, 4)
    assert torch.equal(picture, tokenizer.encode(video)[:, :1])
    assert torch.equal(tokenizer.decode(picture), tokenizer.decode(tokenizer.encode(video))[:, :1])


@torch.no_grad()
def test_frames_come_piece_by_piece_as_all_at_once():
    tokenizer, video = random_tokenizer(SMALL).double(), random_video(SMALL, 5).double()
    z = tokenizer.encode(video).double()
    whole, past, pieces = tokenizer.decode(z), None, []
    for piece in (z[:, :1], z[:, 1:2], z[:, 2:4], z[:, 4:]):
        frames, past = tokenizer.decode_piece(piece, past)
        pieces.append(frames)
    assert [len(frames[0]) for frames in pieces] == [1, 4, 8, 4]
    assert_close(torch.cat(pieces, dim=1), whole)
    assert all(len(part) == len(video) for part in past)


@torch.no_grad()
def test_codes_are_the_latents():
    config = replace(SMALL, levels=(8, 5, 5, 5))
    tokenizer, video = random_tokenizer(config), random_video(config)
    codes = tokenizer.codes(video)
    assert codes.shape == (2, 3, 4, 4) and codes.min() >= 0 and codes.max() < 1000
    assert_close(tokenizer.vectors(codes), tokenizer.encode(video))


def test_the_number_of_frames_is_checked():
    tokenizer = random_tokenizer(SMALL)
    with pytest.raises(ValueError, match="1 \\+ a multiple of 4 frames"):
        tokenizer.encode(torch.zeros(1, 8, 3, 32, 32))
    with pytest.raises(ValueError, match="latent_channels=2"):
        CausalVideoTokenizer(replace(SMALL, levels=(5, 5)))
    with pytest.raises(ValueError, match="attention=False"):
        published_like = random_tokenizer(replace(SMALL, attention=True))
        published_like.decode_piece(torch.zeros(1, 1, 4, 4, 4))


def test_gradients_pass_the_rounding():
    tokenizer = random_tokenizer(replace(SMALL, levels=(8, 5, 5, 5)))
    video = random_video(SMALL)
    (tokenizer.decode(tokenizer.encode(video)) - video).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in tokenizer.parameters())
