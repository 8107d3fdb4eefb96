"""The published network of Cosmos against reference tensors of a published implementation."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from places import REFERENCES
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from wmlearn.systems.cosmos import PAPER_7B, PAPER_14B, Denoiser
from wmlearn.systems.cosmos.published_transformer import (
    PublishedConfig,
    PublishedTransformer,
    load_transformer,
    rotary,
)

REFERENCE = REFERENCES / "cosmos.safetensors"
TOLERANCE = dict(rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def reference():
    return load_file(REFERENCE)


@pytest.fixture(scope="module")
def published(reference, tmp_path_factory):
    with safe_open(REFERENCE, "pt") as file:
        there = json.loads(file.metadata()["config"])["transformer"]
    config = PublishedConfig(
        channels=there["in_channels"],
        out_channels=there["out_channels"],
        heads=there["num_attention_heads"],
        head_dim=there["attention_head_dim"],
        layers=there["num_layers"],
        mlp=there["mlp_ratio"],
        text_dim=there["text_embed_dim"],
        rank=there["adaln_lora_dim"],
        rope_scale=tuple(there["rope_scale"]),
    )
    path = tmp_path_factory.mktemp("published") / "weights.safetensors"
    prefix = "transformer."
    weights = {k.removeprefix(prefix): v for k, v in reference.items() if k.startswith(prefix)}
    save_file(weights, path)
    with pytest.raises(ValueError, match="do not fit"):
        load_transformer(path, replace(config, layers=3))
    return load_transformer(path, config)


@pytest.fixture(scope="module")
def z(reference):
    """[B, T, C, H, W]: latents, and the mask as their last channel."""
    mask = reference["in.condition_mask"]
    mask = mask if mask.ndim == 5 else mask[:, None]
    return torch.cat([reference["in.x"], mask], dim=1).transpose(1, 2)


@torch.no_grad()
def test_the_output_is_the_published_one(published, reference, z):
    drawn = published(z, reference["in.timestep"], reference["in.text"])
    assert_close(drawn.transpose(1, 2), reference["out.sample"], **TOLERANCE)


@torch.no_grad()
def test_a_level_for_each_frame(published, reference, z):
    level = reference["in.timestep_per_frame"].flatten(1)
    drawn = published(z, level, reference["in.text"])
    assert_close(drawn.transpose(1, 2), reference["out.sample_per_frame_timestep"], **TOLERANCE)
    same = published(z, reference["in.timestep"][:, None].expand(-1, 3), reference["in.text"])
    assert_close(same, published(z, reference["in.timestep"], reference["in.text"]), **TOLERANCE)


@torch.no_grad()
def test_frames_a_second(published, reference, z):
    drawn = published(z, reference["in.timestep"], reference["in.text"], fps=30)
    assert_close(drawn.transpose(1, 2), reference["out.sample_fps"], **TOLERANCE)


def test_rotary_positions(published, reference):
    table = rotary((3, 4, 6), published.config)
    assert_close(table[0], reference["out.rope_cos"], **TOLERANCE)
    assert_close(table[1].abs(), reference["out.rope_sin"].abs(), **TOLERANCE)
    assert_close(
        rotary((3, 4, 6), published.config, 30)[0], reference["out.rope_cos_fps"], **TOLERANCE
    )


@torch.no_grad()
def test_every_stage_on_the_way(published, reference, z):
    stages = {}
    for number, block in enumerate(published.transformer_blocks):
        block.register_forward_hook(lambda m, a, out, n=number: stages.update({f"block{n}": out}))
    published.time_embed.register_forward_hook(
        lambda m, a, out: stages.update(temb=out[0], embedded_timestep=out[1])
    )
    published(z, reference["in.timestep"], reference["in.text"])
    for name in ("block0", "block1", "temb", "embedded_timestep"):
        assert_close(stages[name], reference[f"out.{name}"], **TOLERANCE)


@pytest.mark.parametrize(("ours", "heads", "layers"), [(PAPER_7B, 32, 28), (PAPER_14B, 40, 36)])
def test_our_presets_have_as_many_weights_as_the_published_networks(ours, heads, layers):
    with torch.device("meta"):
        theirs = PublishedTransformer(PublishedConfig(heads=heads, layers=layers))
        own = Denoiser(ours).transformer
    count, own = (sum(p.numel() for p in part.parameters()) for part in (theirs, own))
    assert own == pytest.approx(count, rel=0.02)
